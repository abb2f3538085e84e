// Package handlers is all that Conveyor hears: the router, its public routes, and what every answer has in common.
//
// It never decides and never works: webhooks are made durable and answered, pages show what the journal says. Each route
// stands in Routes, and nowhere else. Start reading there, then webhook and dashboard.
package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/conveyor-ci/conveyor/handlers/dashboard"
	"github.com/conveyor-ci/conveyor/handlers/setup"
)

// Options are what the routes need.
type Options struct {
	Webhook gin.HandlerFunc
	Pages   *dashboard.Pages
	Setup   *setup.Pages
	Ready   func(context.Context) []Condition // asked for each /readyz
	Metrics http.Handler
	Log     *slog.Logger
}

// Condition is one thing that must be well for the server to be of use.
type Condition struct {
	Name   string
	Err    error  // nil when it is well; otherwise a sentence for the operator
	Detail string // shown by ?verbose
}

// Routes is the whole list of what this server answers.
func Routes(o Options) http.Handler {
	r := router(o.Log)
	r.POST("/webhooks/github", o.Webhook)
	r.GET("/livez", alive)
	r.GET("/readyz", ready(o.Ready))
	r.GET("/metrics", gin.WrapH(o.Metrics))
	o.Setup.Routes(r)
	o.Pages.Routes(r)
	return r
}

// SettingUp is the whole list of what a server without an App answers.
func SettingUp(o Options) http.Handler {
	r := router(o.Log)
	r.POST("/webhooks/github", func(c *gin.Context) {
		c.Header("Retry-After", "30")
		c.String(http.StatusServiceUnavailable, "This server is being set up. Redeliver it later.\n")
	})
	r.GET("/livez", alive)
	r.GET("/readyz", ready(o.Ready))
	r.GET("/", func(c *gin.Context) { c.Redirect(http.StatusSeeOther, "/setup") })
	o.Setup.Routes(r)
	return r
}

func alive(c *gin.Context) { c.String(http.StatusOK, "ok\n") }

// router is what both have in common.
func router(log *slog.Logger) *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash, r.RedirectFixedPath = false, false
	if err := r.SetTrustedProxies(nil); err != nil {
		panic(err) // nil is always accepted
	}
	r.Use(recovery(log), headers)
	return r
}

// headers are on every answer: nothing is framed, sniffed or run that did not come from here.
func headers(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	c.Next()
}

// recovery turns a panic into a 500, so that GitHub learns that the delivery was not taken.
func recovery(log *slog.Logger) gin.HandlerFunc {
	return gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, p any) {
		log.Error("a request panicked", "path", c.FullPath(), "panic", p)
		c.AbortWithStatus(http.StatusInternalServerError)
	})
}

// ready says whether a load balancer should send anything here. ?verbose lists each condition.
func ready(conditions func(context.Context) []Condition) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, cancel := context.WithTimeout(c.Request.Context(), 5*time.Second)
		defer cancel()
		code, text := http.StatusOK, ""
		_, verbose := c.GetQuery("verbose")
		for _, condition := range conditions(ctx) {
			switch {
			case condition.Err != nil:
				code = http.StatusServiceUnavailable
				text += "[-] " + condition.Name + ": " + condition.Err.Error() + "\n"
			case verbose:
				text += "[+] " + condition.Name + ": " + condition.Detail + "\n"
			}
		}
		if code == http.StatusOK {
			text += "ready\n"
		}
		c.String(code, "%s", text)
	}
}
