package setup_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/conveyor-ci/conveyor/handlers/setup"
)

// bench is a set-up page on a server, with a clock that stands still.
type bench struct {
	t      *testing.T
	pages  *setup.Pages
	server *httptest.Server
	log    *strings.Builder

	mu       sync.Mutex
	at       time.Time
	codes    []string // that were changed
	register func(code string) (setup.Made, error)
	taken    func() (bool, error)
}

func (b *bench) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = b.at.Add(d)
}

func open(t *testing.T, change ...func(*setup.Options)) (*bench, string) {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	b := &bench{t: t, at: time.Date(2041, 3, 1, 9, 0, 0, 0, time.UTC), log: &strings.Builder{}}
	b.register = func(string) (setup.Made, error) {
		return setup.Made{Slug: "shop-conveyor", URL: "https://git.example.com/github-apps/shop-conveyor"}, nil
	}
	b.taken = func() (bool, error) { return false, nil }
	r := gin.New()
	b.server = httptest.NewServer(r)
	t.Cleanup(b.server.Close)
	o := setup.Options{
		PublicURL: b.server.URL, GitHubURL: "https://git.example.com", Name: "Conveyor", Now: b.now, Log: slog.New(slog.NewTextHandler(b.log, nil)),
		Asks: func() setup.Asked {
			return setup.Asked{Permissions: []setup.Permission{{Name: "checks", Level: "write", Why: "check runs"}}, Events: []string{"push"}}
		},
		Manifest: func(name string) (string, error) { return fmt.Sprintf(`{"name":%q}`, name), nil },
		Taken:    func(context.Context, string) (bool, error) { return b.taken() },
		Register: func(_ context.Context, code string) (setup.Made, error) {
			b.mu.Lock()
			b.codes = append(b.codes, code)
			b.mu.Unlock()
			return b.register(code)
		},
	}
	for _, f := range change {
		f(&o)
	}
	b.pages = setup.New(o)
	b.pages.Routes(r)
	link, err := b.pages.Link()
	if err != nil {
		t.Fatal(err)
	}
	return b, link
}

// visitor is a browser: it keeps the cookie, and goes where it is led.
type visitor struct {
	b      *bench
	cookie *http.Cookie
	header http.Header
}

func (v *visitor) get(url string) (code int, page string) {
	v.b.t.Helper()
	if !strings.HasPrefix(url, "http") {
		url = v.b.server.URL + url
	}
	for range 5 {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			v.b.t.Fatal(err)
		}
		if v.cookie != nil {
			req.AddCookie(v.cookie)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			v.b.t.Fatal(err)
		}
		var text strings.Builder
		buf := make([]byte, 32<<10)
		for n := 0; err == nil; {
			n, err = res.Body.Read(buf)
			text.Write(buf[:n])
		}
		_ = res.Body.Close() // it has been read
		for _, c := range res.Cookies() {
			v.cookie = c
		}
		v.header = res.Header
		if res.StatusCode != http.StatusSeeOther {
			return res.StatusCode, html.UnescapeString(text.String())
		}
		url = v.b.server.URL + res.Header.Get("Location")
	}
	v.b.t.Fatal("it leads in circles")
	return 0, ""
}

var stateForm = regexp.MustCompile(`\?state=([A-Za-z0-9_-]{43})"`)

// state asks for the form that goes to GitHub, and reads its state.
func (v *visitor) state() string {
	v.b.t.Helper()
	code, page := v.get("/setup/review?name=Shop&organization=")
	m := stateForm.FindStringSubmatch(page)
	if code != http.StatusOK || m == nil {
		v.b.t.Fatalf("no form that goes to GitHub: %d\n%s", code, page)
	}
	return m[1]
}

func TestTheLinkLetsOneBrowserInOnce(t *testing.T) {
	t.Parallel()
	b, link := open(t)
	first, second := &visitor{b: b}, &visitor{b: b}
	if code, page := second.get("/setup"); code != http.StatusForbidden || !strings.Contains(page, "conveyor serve") {
		t.Errorf("without the link: %d", code)
	}
	if code, page := second.get("/setup?token=" + strings.Repeat("a", 43)); code != http.StatusForbidden || !strings.Contains(page, "opens nothing") {
		t.Errorf("a guessed link: %d\n%s", code, page)
	}
	if code, page := first.get(link); code != http.StatusOK || !strings.Contains(page, "Name of the App") {
		t.Fatalf("the link: %d\n%s", code, page)
	}
	c := first.cookie
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/setup" || c.Secure || strings.Contains(link, c.Value) {
		t.Errorf("the session's cookie: %v", c)
	}
	if code, page := second.get(link); code != http.StatusForbidden || !strings.Contains(page, "has been used") {
		t.Errorf("the second visitor: %d\n%s", code, page)
	}
	if code, _ := first.get(link); code != http.StatusOK {
		t.Errorf("the same browser again: %d", code)
	}
	if code, _ := (&visitor{b: b, cookie: &http.Cookie{Name: c.Name, Value: "forged"}}).get("/setup"); code != http.StatusForbidden {
		t.Errorf("a forged session: %d", code)
	}
	if next, err := b.pages.Link(); err != nil || next == link {
		t.Error("a new link is the old one")
	}
	if code, _ := first.get("/setup"); code != http.StatusForbidden {
		t.Errorf("the session outlives a new link: %d", code)
	}
}

func TestLinkAndSessionEndWithTheHour(t *testing.T) {
	t.Parallel()
	b, link := open(t)
	b.pass(setup.Life)
	if code, page := (&visitor{b: b}).get(link); code != http.StatusForbidden || !strings.Contains(page, "older than an hour") {
		t.Errorf("an old link: %d\n%s", code, page)
	}
	b, link = open(t)
	v := &visitor{b: b}
	v.get(link)
	state := v.state()
	b.pass(setup.Life)
	if code, _ := v.get("/setup/callback?code=c&state=" + state); code != http.StatusForbidden || len(b.codes) != 0 {
		t.Errorf("an old session: %d", code)
	}
}

func TestOverHTTPSTheCookieStaysThere(t *testing.T) {
	t.Parallel()
	b, _ := open(t, func(o *setup.Options) { o.PublicURL = "https://ci.example.com" })
	link, err := b.pages.Link()
	if err != nil || !strings.HasPrefix(link, "https://ci.example.com/setup?token=") {
		t.Fatal(link, err)
	}
	v := &visitor{b: b}
	v.get("/setup?" + strings.SplitN(link, "?", 2)[1])
	if !v.cookie.Secure {
		t.Error("the cookie may travel in the clear")
	}
}

func TestAForgedOrRepeatedStateChangesNoCode(t *testing.T) {
	t.Parallel()
	b, link := open(t)
	v := &visitor{b: b}
	v.get(link)
	state := v.state()
	for _, forged := range []string{"", "x", strings.Repeat("A", 43), state + "x"} {
		if code, page := v.get("/setup/callback?code=c0de&state=" + forged); code != http.StatusForbidden || !strings.Contains(page, "did not begin here") {
			t.Errorf("state %q: %d", forged, code)
		}
	}
	if code, _ := (&visitor{b: b}).get("/setup/callback?code=c0de&state=" + state); code != http.StatusForbidden {
		t.Error("another browser came back with our state, and was let in")
	}
	if len(b.codes) != 0 {
		t.Fatalf("changed %q", b.codes)
	}
	b.register = func(string) (setup.Made, error) {
		return setup.Made{}, errors.New("the code has been used or is older than an hour")
	}
	if code, page := v.get("/setup/callback?code=c0de&state=" + state); code != http.StatusBadGateway || !strings.Contains(page, "older than an hour.") || !strings.Contains(page, "Begin again") {
		t.Errorf("a code that GitHub refuses: %d\n%s", code, page)
	}
	if code, _ := v.get("/setup/callback?code=c0de&state=" + state); code != http.StatusForbidden || len(b.codes) != 1 {
		t.Errorf("the same state twice: %d, %q", code, b.codes)
	}
	if code, page := v.get("/setup/callback?state=" + v.state()); code != http.StatusBadRequest || !strings.Contains(page, "no code") {
		t.Errorf("no code: %d", code)
	}
}

func TestOnceTheAppIsMadeThePageMakesNoOther(t *testing.T) {
	t.Parallel()
	b, link := open(t)
	v := &visitor{b: b}
	v.get(link)
	one, two := v.state(), v.state()
	if code, page := v.get("/setup/callback?code=one&state=" + one); code != http.StatusOK || !strings.Contains(page, "goes on by itself") {
		t.Fatalf("%d\n%s", code, page)
	}
	for _, url := range []string{"/setup/callback?code=two&state=" + two, "/setup/callback?code=one&state=" + one, "/setup/review?name=Other", "/setup", link} {
		if code, page := v.get(url); code != http.StatusOK || !strings.Contains(page, "shop-conveyor") && !strings.Contains(page, "The key is kept") {
			t.Errorf("%s: %d\n%s", url, code, page)
		}
	}
	if len(b.codes) != 1 {
		t.Errorf("changed %q", b.codes)
	}
	for _, secret := range []string{one, two, strings.SplitN(link, "=", 2)[1], v.cookie.Value} {
		if strings.Contains(b.log.String(), secret) {
			t.Errorf("the log holds a secret:\n%s", b.log)
		}
	}
}

func TestTheFormGoesToGitHubAndNowhereElse(t *testing.T) {
	t.Parallel()
	b, link := open(t)
	v := &visitor{b: b}
	v.get(link)
	if csp := v.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self';") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "script") {
		t.Errorf("the first page's policy: %s", csp)
	}
	_, page := v.get("/setup/review?name=Shop&organization=octo")
	if csp := v.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://git.example.com;") {
		t.Errorf("the form's policy: %s", csp)
	}
	if v.header.Get("Cache-Control") != "no-store" {
		t.Error("the page may be kept")
	}
	if !strings.Contains(page, `action="https://git.example.com/organizations/octo/settings/apps/new?state=`) || !strings.Contains(page, `{"name":"Shop"}`) {
		t.Errorf("the form:\n%s", page)
	}
	if _, page = v.get("/setup/review?name=Shop"); !strings.Contains(page, `action="https://git.example.com/settings/apps/new?state=`) {
		t.Errorf("the form of a person:\n%s", page)
	}
}

func TestWhatGitHubWouldRefuseIsSaidBefore(t *testing.T) {
	t.Parallel()
	b, link := open(t)
	v := &visitor{b: b}
	v.get(link)
	for query, want := range map[string]string{
		"name=": "Give the App a name.", "name=" + strings.Repeat("x", 35): "34 characters", "name=%21%21": "a letter or a digit",
		"name=A&organization=a/../b": "not the name of an organisation", "name=A&organization=-a": "not the name of an organisation",
	} {
		if code, page := v.get("/setup/review?" + query); code != http.StatusUnprocessableEntity || !strings.Contains(page, want) || strings.Contains(page, "state=") {
			t.Errorf("%s: %d\n%s", query, code, page)
		}
	}
	b.taken = func() (bool, error) { return true, nil }
	if _, page := v.get("/setup/review?name=Shop"); !strings.Contains(page, "exists at git.example.com already") {
		t.Errorf("a name that is taken:\n%s", page)
	}
	b.taken = func() (bool, error) { return false, errors.New("no usable answer from GitHub") }
	if _, page := v.get("/setup/review?name=Shop"); !strings.Contains(page, "cannot ask git.example.com just now") {
		t.Errorf("GitHub is down:\n%s", page)
	}
}

func TestTheListComesAgainUntilAllIsWell(t *testing.T) {
	t.Parallel()
	b, link := open(t)
	v := &visitor{b: b}
	v.get(link)
	if _, page := v.get("/setup/callback?code=c&state=" + v.state()); !strings.Contains(page, `http-equiv="refresh" content="1"`) {
		t.Errorf("while the server starts:\n%s", page)
	}
	asked := 0
	proof := setup.Proof{Findings: []setup.Finding{
		{Name: "Journal", Level: "ok", Says: "Fine."}, {Name: "Hook", Level: "failed", Says: "It says <b>`x<y`</b>.", Fix: "Repair it."},
	}}
	b.pages.Live(func(context.Context) setup.Proof { asked++; return proof })
	_, page := v.get("/setup")
	if !strings.Contains(page, `content="4"`) || !strings.Contains(page, "Install the App") || strings.Index(page, "Hook") > strings.Index(page, "Journal") || !strings.Contains(page, "1 failed") {
		t.Errorf("a list with a failure:\n%s", page)
	}
	if v.get("/setup"); asked != 1 {
		t.Errorf("two looks at once asked %d times", asked)
	}
	b.pass(4 * time.Minute)
	if _, page = v.get("/setup"); !strings.Contains(page, `content="20"`) {
		t.Errorf("after a while:\n%s", page)
	}
	proof = setup.Proof{Installed: true, Findings: proof.Findings[:1]}
	b.pass(time.Minute)
	if _, page = v.get("/setup"); strings.Contains(page, "refresh") || !strings.Contains(page, "Conveyor is ready") {
		t.Errorf("all is well:\n%s", page)
	}
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	b, link := open(t)
	v := &visitor{b: b}
	v.get(link)
	v.get("/setup/callback?code=c&state=" + v.state())
	b.pages.Failed("the folder is full")
	if _, page := v.get("/setup"); !strings.Contains(page, "the folder is full") || !strings.Contains(page, "no second set-up") || strings.Contains(page, "refresh") {
		t.Errorf("the page:\n%s", page)
	}
}

func TestWithoutALinkThereIsNothingToSetUp(t *testing.T) {
	t.Parallel()
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	setup.New(setup.Options{PublicURL: "https://ci.example.com"}).Routes(r)
	for path, want := range map[string]int{"/setup": 404, "/setup?token=": 403, "/setup/review?name=x": 404, "/setup/callback?code=x&state=": 404, "/setup/installed": 200} {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s answered %d, want %d", path, w.Code, want)
		}
	}
}
