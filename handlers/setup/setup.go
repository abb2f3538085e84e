// Package setup leads one person, once, from a server without an App to one that is proven to work: the App is made from
// a manifest at GitHub, its key and secret are kept, and what must be well is shown as it becomes so.
//
// It never shows, logs or keeps a key or a secret: it passes GitHub's code on and forgets it. Nobody gets in without the
// link that the server has printed. Every route is a GET; what registers the App is a form that goes to GitHub itself.
// Start reading at Pages.Routes, then door.go for who gets in.
package setup

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// Life is how long the link and, once it was opened, the session are good.
const Life = time.Hour

// Options are what the pages need.
type Options struct {
	PublicURL string
	GitHubURL string
	Name      string       // of the App, as it is proposed
	Asks      func() Asked // what the App asks for, for people
	Manifest  func(name string) (string, error)
	Taken     func(ctx context.Context, name string) (bool, error) // whether GitHub is known to have an App of that name
	Register  func(ctx context.Context, code string) (Made, error) // keeps what GitHub's code gives; its error is a sentence
	Problem   string                                               // what an earlier set-up has left behind; shown on the first page
	Now       func() time.Time
	Random    io.Reader
	Log       *slog.Logger
}

// Asked is what the App asks for.
type Asked struct {
	Permissions []Permission
	Events      []string
}

// Permission is one right, and what it is for.
type Permission struct{ Name, Level, Why string }

// Made is an App that GitHub has made.
type Made struct {
	Slug string
	URL  string // the App's page at GitHub
}

// Finding is one thing that must be well, and how it stands.
type Finding struct {
	Name  string
	Level string // "ok", "warning", "failed" or "unknown"
	Says  string
	Fix   string
	Link  string // where to do it
}

// Proof is how the App stands.
type Proof struct {
	Installed bool // somewhere
	Findings  []Finding
}

// Pages are the handlers.
type Pages struct {
	o     Options
	files files

	mu      sync.Mutex
	door    door
	busy    bool // a code is being changed into an App
	made    *Made
	madeAt  time.Time
	problem string // why the server could not go live
	prove   func(context.Context) Proof

	proving sync.Mutex // guards the list below
	last    *Proof
	looked  time.Time
}

// New makes the pages, with a door that is shut.
func New(o Options) *Pages {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Pages{o: o, files: load()}
}

// Routes adds the pages to a router.
func (p *Pages) Routes(r gin.IRouter) {
	g := r.Group("/setup", p.headers)
	g.GET("", p.enter, p.guard, p.show)
	g.GET("/review", p.guard, p.review)
	g.GET("/callback", p.guard, p.callback)
	g.GET("/installed", p.installed)
	g.GET("/style/:name", p.style)
}

// Live says that the server has taken the App up, and how it is proven.
func (p *Pages) Live(prove func(context.Context) Proof) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prove = prove
}

// Failed says why the server could not take the App up.
func (p *Pages) Failed(problem string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problem = problem
}

// headers add to those of all answers. Nothing here is a script.
func (p *Pages) headers(c *gin.Context) {
	p.mayPost(c, "'self'")
	c.Header("Cache-Control", "no-store")
	c.Next()
}

// mayPost names where the page's form may go. A browser holds redirects to it, too.
func (p *Pages) mayPost(c *gin.Context, where string) {
	c.Header("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action "+where+"; frame-ancestors 'none'")
}

func (p *Pages) style(c *gin.Context) {
	c.Header("Cache-Control", "public, max-age=31536000, immutable")
	switch c.Param("name") {
	case p.files.styleName:
		c.Data(http.StatusOK, "text/css; charset=utf-8", p.files.style)
	case "icon.svg":
		c.Data(http.StatusOK, "image/svg+xml", []byte(tabIcon))
	default:
		c.Header("Cache-Control", "no-store")
		c.Status(http.StatusNotFound)
	}
}
