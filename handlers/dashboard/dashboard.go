// Package dashboard shows runs to people: a page for each run, its live log, and the list of runs where the operator
// wants it open.
//
// It reads, and never changes anything: no route here is anything but a GET. Text from outside is escaped by
// html/template, and put into the page by the script as text, never as markup. Start reading at Pages.Routes.
package dashboard

import (
	"context"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

// Options are where the pages get what they show.
type Options struct {
	Run       func(context.Context, pipeline.RunID) (pipeline.State, error)
	Repo      func(ctx context.Context, id int64) (deploy.State, error)
	Runs      func(ctx context.Context, limit int) ([]pipeline.State, error)
	Changed   func(ctx context.Context, stream string) <-chan struct{}
	Logs      *logs.Store
	LogName   func(run pipeline.RunID, step string, attempt int) string
	Key       func(pipeline.RunID) string // the part of a run's address that opens it
	GitHubURL string
	Open      bool // the list of runs is shown to everyone who reaches the server
	Log       *slog.Logger
}

// Pages are the handlers.
type Pages struct {
	o      Options
	assets map[string]asset
}

// New makes the pages.
func New(o Options) *Pages { return &Pages{o: o, assets: loadAssets()} }

// Routes adds the pages to a router.
func (p *Pages) Routes(r gin.IRouter) {
	r.GET("/", p.home)
	r.GET("/assets/:name", p.asset)
	run := r.Group("/runs/:repo/:delivery/:key", p.open)
	run.GET("", p.run)
	run.GET("/state", p.state)
	run.GET("/log/:step/:attempt", p.log)
}

// open lets those in who hold the run's key. Everyone else learns nothing: not even that there is such a run.
func (p *Pages) open(c *gin.Context) {
	repo, err := strconv.ParseInt(c.Param("repo"), 10, 64)
	id := pipeline.NewRunID(repo, c.Param("delivery"))
	if err != nil || subtle.ConstantTimeCompare([]byte(p.o.Key(id)), []byte(c.Param("key"))) != 1 {
		p.notFound(c)
		return
	}
	s, err := p.o.Run(c.Request.Context(), id)
	if err != nil {
		p.failed(c, err)
		return
	}
	if s.Run == "" {
		p.notFound(c)
		return
	}
	c.Set("run", s)
}

func opened(c *gin.Context) pipeline.State { return c.MustGet("run").(pipeline.State) }

// run is a run's page. It says everything without a script; the script keeps it up to date.
func (p *Pages) run(c *gin.Context) {
	view, err := p.view(c.Request.Context(), opened(c))
	if err != nil {
		p.failed(c, err)
		return
	}
	p.render(c, http.StatusOK, "run", view)
}

// home is the list of runs, or a word on where runs are found.
func (p *Pages) home(c *gin.Context) {
	view := homeView{Assets: p.names()}
	if p.o.Open {
		states, err := p.o.Runs(c.Request.Context(), 50)
		if err != nil {
			p.failed(c, err)
			return
		}
		view.Open = true
		for _, s := range states {
			view.Runs = append(view.Runs, p.headline(s))
		}
	}
	p.render(c, http.StatusOK, "home", view)
}

func (p *Pages) notFound(c *gin.Context) {
	p.render(c, http.StatusNotFound, "missing", homeView{Assets: p.names()})
	c.Abort()
}

// failed tells the person that it is our fault; the reason is for the operator.
func (p *Pages) failed(c *gin.Context, err error) {
	p.o.Log.Error("a page could not be made", "path", c.FullPath(), "err", err)
	p.render(c, http.StatusServiceUnavailable, "failed", homeView{Assets: p.names()})
	c.Abort()
}

func (p *Pages) render(c *gin.Context, code int, name string, view any) {
	c.Header("Cache-Control", "no-store")
	c.Header("Content-Type", "text/html; charset=utf-8")
	c.Status(code)
	if err := templates.ExecuteTemplate(c.Writer, name, view); err != nil {
		p.o.Log.Warn("a page was cut short", "page", name, "err", err)
	}
}
