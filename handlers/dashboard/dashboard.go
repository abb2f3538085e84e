// Package dashboard shows runs to people: a page for each run, its live log, and the list of runs where the operator
// wants it open.
//
// It reads, and never changes anything: no route here is anything but a GET or a HEAD. Text from outside is escaped by
// html/template, and put into the page by the script as text, never as markup. The whole page is made on the server; the
// script in assets keeps it up to date and shows logs. Start reading at Pages.Routes, then view.go for what a page says,
// state.go and log.go for what is live.
package dashboard

import (
	"bytes"
	"context"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strconv"
	"time"

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
	Held      func(pipeline.State) (until time.Time, why string) // news of a run for GitHub; zero when none is held back. why may be empty
	Changed   func(ctx context.Context, stream string) <-chan struct{}
	Logs      *logs.Store
	Manifest  func(context.Context, pipeline.Artifact) ([]byte, error) // the list of its files, of which the digest is taken
	Signed    func(context.Context, pipeline.Artifact) ([]byte, error) // its provenance
	LogName   func(run pipeline.RunID, step string, attempt int) string
	Key       func(pipeline.RunID) string // the part of a run's address that opens it
	GitHubURL string
	Open      bool // the list of runs is shown to everyone who reaches the server
	Log       *slog.Logger
}

// Pages are the handlers.
type Pages struct {
	o      Options
	assets assets
	beat   time.Duration // how long a stream is silent at most
	look   time.Duration // how often a log is looked for that has not begun
	slow   time.Duration // how long a reader may take for one write
	long   int64         // bytes from which a log is long
	shown  int64         // lines of a long log that a page begins with; the earlier ones are a click away, as plain text
}

// New makes the pages.
func New(o Options) *Pages {
	return &Pages{o: o, assets: loadAssets(), beat: 20 * time.Second, look: 250 * time.Millisecond, slow: 30 * time.Second, long: 8 << 20, shown: 50_000}
}

// Routes adds the pages to a router.
func (p *Pages) Routes(r gin.IRouter) {
	page := func(r gin.IRouter, path string, h gin.HandlerFunc) {
		r.GET(path, h)
		r.HEAD(path, h)
	}
	page(r, "/", p.home)
	page(r, "/assets/:name", p.asset)
	run := r.Group("/runs/:repo/:delivery/:key", p.open)
	page(run, "", p.run)
	page(run, "/log/:step/:attempt", p.log)
	run.GET("/state", p.state)
	page(run, "/artifact/:artifact/manifest.json", func(c *gin.Context) { p.made(c, p.o.Manifest) })
	page(run, "/artifact/:artifact/provenance.sigstore.json", func(c *gin.Context) { p.made(c, p.o.Signed) })
	page(run, "/logs", p.names)
}

// open lets those in who hold the run's key. Everyone else learns nothing: not even that there is such a run.
func (p *Pages) open(c *gin.Context) {
	repo, err := strconv.ParseInt(c.Param("repo"), 10, 64)
	id := pipeline.NewRunID(repo, c.Param("delivery"))
	// A number has one spelling here, so that a run has one address.
	if err != nil || strconv.FormatInt(repo, 10) != c.Param("repo") ||
		subtle.ConstantTimeCompare([]byte(p.o.Key(id)), []byte(c.Param("key"))) != 1 {
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

// run is a run's page. It says everything without a script; the script keeps it up to date. ?log=STEP/ATTEMPT chooses
// the log that it shows.
func (p *Pages) run(c *gin.Context) {
	s := opened(c)
	live, err := p.view(c.Request.Context(), s)
	if err != nil {
		p.failed(c, err)
		return
	}
	p.render(c, http.StatusOK, "run", p.page(s, live, c.Query("log")))
}

// home is the list of runs, or a word on where runs are found.
func (p *Pages) home(c *gin.Context) {
	view := homeView{Assets: p.assets.names, Open: p.o.Open}
	if p.o.Open {
		states, err := p.o.Runs(c.Request.Context(), 50)
		if err != nil {
			p.failed(c, err)
			return
		}
		for _, s := range states {
			view.Runs = append(view.Runs, p.headline(s))
		}
	}
	p.render(c, http.StatusOK, "home", view)
}

// homeView is the list of runs, and the other small pages.
type homeView struct {
	Assets assetNames
	Open   bool
	Runs   []headline
}

func (p *Pages) notFound(c *gin.Context) {
	p.render(c, http.StatusNotFound, "missing", homeView{Assets: p.assets.names})
	c.Abort()
}

// failed tells the person that it is our fault; the reason is for the operator.
func (p *Pages) failed(c *gin.Context, err error) {
	if c.Request.Context().Err() != nil {
		c.Abort() // nobody waits for it any more
		return
	}
	p.o.Log.Error("a page could not be made", "path", c.FullPath(), "err", err)
	p.render(c, http.StatusServiceUnavailable, "failed", homeView{Assets: p.assets.names})
	c.Abort()
}

// render answers with a whole page, or with none.
func (p *Pages) render(c *gin.Context, code int, name string, view any) {
	var page bytes.Buffer
	if err := p.assets.pages.ExecuteTemplate(&page, name, view); err != nil {
		p.o.Log.Error("a page could not be made", "page", name, "err", err)
		c.String(http.StatusInternalServerError, "The page could not be made. The operator finds the reason in the server's log.\n")
		return
	}
	c.Header("Cache-Control", "no-store")
	c.Data(code, "text/html; charset=utf-8", page.Bytes())
}
