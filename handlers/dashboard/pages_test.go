package dashboard_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/handlers/dashboard"
	"github.com/conveyor-ci/conveyor/pipeline"
)

func serveOnce(s *shop, method, path string, ctx context.Context, header ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, nil).WithContext(ctx)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer := httptest.NewRecorder()
	s.handler().ServeHTTP(answer, request)
	return answer
}

func get(t testing.TB, s *shop, path string, header ...string) *httptest.ResponseRecorder {
	return serveOnce(s, http.MethodGet, path, t.Context(), header...)
}

// waitFor polls, with a deadline.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// running reports whether some goroutine is in a place.
func running(place string) bool {
	stacks := make([]byte, 4<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), place)
}

func TestAWrongKeyLooksLikeARunThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	run := s.request(nil)
	s.start(run, "unit", 1)
	good := address(run)
	if code := get(t, s, good).Code; code != http.StatusOK {
		t.Fatalf("the run's page is %d", code)
	}
	wrong := good[:len(good)-1] + "0"
	if wrong == good {
		wrong = good[:len(good)-1] + "1"
	}
	none := pipeline.NewRunID(7, "3f2a9c1e-7b4d-11f0-8a6e-000000000999")
	missing := get(t, s, address(none))
	if missing.Code != http.StatusNotFound {
		t.Fatalf("a run that is not there is %d", missing.Code)
	}
	for _, path := range []string{
		wrong, wrong + "/state", wrong + "/log/unit/1", address(none) + "/state", address(none) + "/log/unit/1",
		strings.Replace(good, "/runs/7/", "/runs/+7/", 1), strings.Replace(good, "/runs/7/", "/runs/07/", 1), strings.Replace(good, "/runs/7/", "/runs/8/", 1),
		strings.Replace(good, "/runs/7/", "/runs/x/", 1),
	} {
		answer := get(t, s, path, "Accept", "text/event-stream")
		if answer.Code != missing.Code || answer.Body.String() != missing.Body.String() || fmt.Sprint(answer.Header()) != fmt.Sprint(missing.Header()) {
			t.Errorf("%s is told apart from a run that is not there: %d\n%v", path, answer.Code, answer.Header())
		}
	}
}

func TestNoOtherLogIsGivenThanOneOfTheRun(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	run := s.request(nil)
	s.start(run, "unit", 1)
	s.print(run, "unit", 1, "one\n")
	s.print(run, "secret", 1, "not a step of this run\n")
	for _, path := range []string{"unit/2", "unit/0", "unit/-1", "unit/01", "unit/+1", "unit/x", "lint/1", "secret/1", "..%2fsecret/1", "%2e%2e/1", "unit%2f1/1", "unit%00/1"} {
		if answer := get(t, s, address(run)+"/log/"+path); answer.Code != http.StatusNotFound {
			t.Errorf("%s is %d", path, answer.Code)
		}
	}
}

func TestARawLogIsTextAndHasRanges(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	run := s.request(nil)
	s.start(run, "unit", 1)
	s.start(run, "lint", 1)
	s.print(run, "unit", 1, "<script>0123456789\r\n")
	w := s.writer(run, "lint", 1)
	_, err := w.Write([]byte("<script>0123456789\r\n"))
	must(t, err)
	waitFor(t, "the log is written", func() bool { return get(t, s, address(run)+"/log/lint/1").Body.Len() == 20 })
	for _, step := range []string{"unit", "lint"} {
		path := address(run) + "/log/" + step + "/1"
		answer := get(t, s, path)
		h := answer.Header()
		if answer.Body.String() != "<script>0123456789\r\n" || h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("Content-Disposition") != "inline; filename="+step+"-1.log" || h.Get("Vary") != "Accept" {
			t.Errorf("%q %v", answer.Body, h)
		}
		if answer = get(t, s, path, "Range", "bytes=8-11"); answer.Code != http.StatusPartialContent || answer.Body.String() != "0123" {
			t.Errorf("a range of %s is %d %q", step, answer.Code, answer.Body)
		}
		if answer = get(t, s, path+"?save"); !strings.HasPrefix(answer.Header().Get("Content-Disposition"), "attachment") {
			t.Errorf("to save is %q", answer.Header().Get("Content-Disposition"))
		}
		if answer = serveOnce(s, http.MethodHead, path, t.Context(), "Accept", "text/event-stream"); answer.Code != http.StatusOK || answer.Header().Get("Content-Length") != "20" {
			t.Errorf("HEAD of %s is %d %v", step, answer.Code, answer.Header())
		}
	}
	must(t, w.Close())
	s.start(run, "site", 1)
	if answer := get(t, s, address(run)+"/log/site/1"); answer.Code != http.StatusOK || answer.Body.Len() != 0 {
		t.Errorf("a log that has not begun is %d %q", answer.Code, answer.Body)
	}
}

func TestNoMethodChangesAnything(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.define()
	run := green(s)
	before := s.writes
	for _, path := range []string{"/", address(run), address(run) + "/state", address(run) + "/log/unit/1"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, "PURGE"} {
			if answer := serveOnce(s, method, path, t.Context()); answer.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s is %d", method, path, answer.Code)
			}
		}
		if strings.HasSuffix(path, "/state") {
			continue
		}
		if answer := serveOnce(s, http.MethodHead, path, t.Context()); answer.Code != http.StatusOK {
			t.Errorf("HEAD %s is %d", path, answer.Code)
		}
		if answer := get(t, s, path); answer.Code != http.StatusOK {
			t.Errorf("GET %s is %d", path, answer.Code)
		}
	}
	if s.writes != before {
		t.Errorf("%d things were changed", s.writes-before)
	}
}

func TestPagesAreNotKeptAndAssetsAre(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	run := s.request(nil)
	page := get(t, s, address(run))
	for header, want := range map[string]string{
		"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := page.Header().Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	if csp := page.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(csp, "unsafe") {
		t.Errorf("the content security policy is %q", csp)
	}
	for _, asset := range regexp.MustCompile(`/assets/[a-z0-9.-]+`).FindAllString(page.Body.String(), -1) {
		answer := get(t, s, asset)
		if answer.Code != http.StatusOK || !strings.Contains(answer.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s is %d %v", asset, answer.Code, answer.Header())
		}
	}
	if answer := get(t, s, "/assets/run.js"); answer.Code != http.StatusNotFound {
		t.Errorf("an asset without its hash is %d", answer.Code)
	}
}

func TestTheListOfRunsIsShownOnlyWhereItIsOpen(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.define()
	first, second := green(s), situations["running"](s)
	page := get(t, s, "/").Body.String()
	if a, b := strings.Index(page, address(second)), strings.Index(page, address(first)); a < 0 || b < a {
		t.Errorf("the newest run is not the first of the list:\n%s", page)
	}
	if empty := get(t, newShop(t), "/").Body.String(); !strings.Contains(empty, "No run yet") {
		t.Errorf("an empty list says:\n%s", empty)
	}
	s.shut()
	if page = get(t, s, "/").Body.String(); strings.Contains(page, "/runs/") || !strings.Contains(page, "no list of runs") {
		t.Errorf("the closed list says:\n%s", page)
	}
}

func TestAJournalThatCannotBeReadIsOurFault(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	run := s.request(nil)
	s.broken = fmt.Errorf("disk full at /var/lib/secret")
	for _, path := range []string{"/", address(run), address(run) + "/state"} {
		answer := get(t, s, path)
		if answer.Code != http.StatusServiceUnavailable || strings.Contains(answer.Body.String(), "secret") {
			t.Errorf("%s is %d:\n%s", path, answer.Code, answer.Body)
		}
	}
}

func TestTheStateIsSentOnceAndAgainOnlyWhenItHasChanged(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.define()
	run := s.request(nil)
	stream := connect(t, s.serve().URL+address(run)+"/state", "")
	stream.named("now")
	queued := stream.named("state").data
	s.tell(run) // a change of the stream that this page does not show
	s.note()
	s.tell(run, pipeline.CheckTold{Check: "conveyor / test", ID: 1, Mark: "queued"})
	s.start(run, "unit", 1)
	running := stream.named("state").data
	if queued == running || !strings.Contains(running, "unit runs now") {
		t.Errorf("the second event is not the news:\n%s", running)
	}
	s.note(deploy.PullSeen{Number: 13, Open: true, Head: mergeCommit, Updated: s.later(0)}) // of someone else
	s.finish(run, "unit", 1, time.Second, tested)
	if e := stream.named("state"); !strings.Contains(e.data, "128 tests passed") {
		t.Errorf("the third event is not the news:\n%s", e.data)
	}
	s.note(deploy.Defined{Repo: repo, Commit: mergeCommit, Pushed: true, Environments: shopPlan().Environments[1:], Plan: "q"})
	if e := stream.named("state"); strings.Contains(e.data, "preview/pr-12") {
		t.Errorf("the environments' news is not shown:\n%s", e.data)
	}
}

func TestAPageWithoutScriptsShowsTheEndOfTheLog(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.define()
	run := green(s)
	for query, want := range map[string]string{
		"": "✓ built in 5.37s", "?log=unit/1": "Tests  128 passed (128)", "?log=lint%2F1": "no warnings",
		"?log=none/1": "✓ built in 5.37s", "?log=../1": "✓ built in 5.37s", "?log=unit/7": "✓ built in 5.37s",
	} {
		page := get(t, s, address(run)+query).Body.String()
		_, tail, _ := strings.Cut(page, "<noscript><p")
		tail, _, _ = strings.Cut(tail, "</noscript>")
		tail = regexp.MustCompile("</?span[^>]*>").ReplaceAllString(tail, "") // its colours
		if !strings.Contains(tail, want) || strings.Contains(tail, "\x1b") {
			t.Errorf("%s shows:\n%s", query, tail)
		}
	}
}

func TestWhatATerminalWouldShowIsPrinted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"\x1b[1;31mred\x1b[0m\n":   "red",
		"10%\r50%\r100%\r\nnext\n": "100%\nnext",
		"10%\r":                    "10%",
		"\x1b]8;;javascript:x\x1b\\link\x1b]8;;\x1b\\": "link",
		"\x1b]8;;never ended\nnext":                    "8;;never ended\nnext",
		"a\tb\x00c\x07\u202ed":                         "a    b c d",
		"\xff":                                         "\ufffd",
	} {
		if got := dashboard.Printed(text); got != want {
			t.Errorf("%q is printed as %q, want %q", text, got, want)
		}
	}
}

func TestDurationsReadAsTheChecksSayThem(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		440 * time.Millisecond: "0.4s", 9960 * time.Millisecond: "9.9s", 59900 * time.Millisecond: "59s", 134 * time.Second: "2m 14s", 3780 * time.Second: "1h 3m", -1: "",
	} {
		if got := dashboard.Took(from, from.Add(d)); got != want {
			t.Errorf("%s reads %q, want %q", d, got, want)
		}
	}
}
