package setup

import (
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
)

// maxName is how long GitHub lets an App's name be.
const maxName = 34

var orgForm = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9]|[-_][A-Za-z0-9]){0,38}$`)

// formView is the first page.
type formView struct {
	page
	AppName, Org        string
	NameWrong, OrgWrong string
	GitHub              string
	Problem             string
}

// show is the page as things stand: the form, or how far the App is.
func (p *Pages) show(c *gin.Context) {
	p.mu.Lock()
	made := p.made
	p.mu.Unlock()
	if made != nil {
		p.progress(c, *made)
		return
	}
	p.render(c, http.StatusOK, "form", formView{page: p.page("Set up Conveyor"), AppName: p.o.Name, GitHub: host(p.o.GitHubURL), Problem: p.o.Problem})
}

// reviewView is what will be registered, and the form that goes to GitHub.
type reviewView struct {
	page
	AppName, Org    string
	Owner           string
	GitHub, Webhook string
	Asked           Asked
	Action          string
	Manifest        string
	Taken           bool
	Trouble         string
}

// review shows all that the App will ask for. Its button posts the manifest to GitHub, which asks once more.
func (p *Pages) review(c *gin.Context) {
	p.mu.Lock()
	made := p.made != nil
	p.mu.Unlock()
	if made {
		p.redirect(c, "/setup")
		return
	}
	name, org := strings.Join(strings.Fields(c.Query("name")), " "), strings.TrimSpace(c.Query("organization"))
	form := formView{page: p.page("Set up Conveyor"), AppName: name, Org: org, GitHub: host(p.o.GitHubURL)}
	switch {
	case name == "" || strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name):
		form.NameWrong = "Give the App a name."
	case len(name) > maxName:
		form.NameWrong = "GitHub takes names of 34 characters at most; this one is longer."
	case slug(name) == "":
		form.NameWrong = "GitHub needs a letter or a digit in the name."
	}
	if org != "" && !orgForm.MatchString(org) {
		form.OrgWrong = "That is not the name of an organisation. It is the part after the slash in its address."
	}
	if form.NameWrong != "" || form.OrgWrong != "" {
		p.render(c, http.StatusUnprocessableEntity, "form", form)
		return
	}
	manifest, err := p.o.Manifest(name)
	state, noState := "", error(nil)
	if err == nil {
		state, noState = p.newState()
	}
	if err != nil || noState != nil {
		p.o.Log.Error("the manifest cannot be made", "err", err, "state", noState)
		p.say(c, http.StatusServiceUnavailable, "The page cannot be made just now", "The operator finds the reason in the server's log.")
		return
	}
	view := reviewView{
		page: p.page("Register the App"), AppName: name, Org: org, Owner: org, GitHub: host(p.o.GitHubURL),
		Webhook: strings.TrimSuffix(p.o.PublicURL, "/") + "/webhooks/github", Asked: p.o.Asks(), Manifest: manifest,
	}
	view.Action = strings.TrimSuffix(p.o.GitHubURL, "/") + "/settings/apps/new?state=" + state
	if org != "" {
		view.Action = strings.TrimSuffix(p.o.GitHubURL, "/") + "/organizations/" + org + "/settings/apps/new?state=" + state
	}
	if view.Taken, err = p.o.Taken(c.Request.Context(), slug(name)); err != nil {
		p.o.Log.Warn("GitHub could not be asked whether the App's name is free", "err", err)
		view.Trouble = sentence(err.Error())
	}
	p.mayPost(c, "'self' "+origin(p.o.GitHubURL))
	p.render(c, http.StatusOK, "review", view)
}

// callback is where GitHub leads the browser when the App has been made. The code is changed at once: it is all that
// there is of the App's key.
func (p *Pages) callback(c *gin.Context) {
	p.mu.Lock()
	made := p.made != nil
	p.mu.Unlock()
	if made { // the page was opened again, or in two tabs
		p.redirect(c, "/setup")
		return
	}
	if !p.takeState(c.Query("state")) {
		p.o.Log.Warn("a set-up was refused: it did not begin on this page")
		p.again(c, http.StatusForbidden, "This set-up did not begin here", "GitHub sent back a word that this page has not given out, or that has been used. When you have just made an App at GitHub, delete it there, and begin again.")
		return
	}
	if c.Query("code") == "" {
		p.again(c, http.StatusBadRequest, "GitHub sent no code", "Without it the App's key cannot be fetched. Begin again.")
		return
	}
	p.mu.Lock()
	busy := p.busy || p.made != nil
	p.busy = true
	p.mu.Unlock()
	if busy { // two forms came back at the same moment
		p.redirect(c, "/setup")
		return
	}
	app, err := p.o.Register(c.Request.Context(), c.Query("code"))
	p.mu.Lock()
	p.busy = false
	if err == nil {
		p.made, p.madeAt, p.door.states = &app, p.o.Now(), nil
	}
	p.mu.Unlock()
	if err != nil {
		p.o.Log.Error("the App could not be taken up", "err", err)
		p.again(c, http.StatusBadGateway, "The App could not be taken up", sentence(err.Error()))
		return
	}
	p.o.Log.Info("the App has been made", "app", app.Slug, "url", app.URL)
	p.redirect(c, "/setup")
}

// installed is where GitHub leads whoever has installed the App, whenever that is. It says nothing of the server.
func (p *Pages) installed(c *gin.Context) {
	if p.inside(c) {
		p.redirect(c, "/setup")
		return
	}
	p.say(c, http.StatusOK, "Conveyor is installed", "Commit a pipeline file, `.github/conveyor.yml`, and open a pull request. `/doctor` in a pull request says what the repository still lacks.")
}

// soon is how long a new App is watched closely.
const soon = 3 * time.Minute
