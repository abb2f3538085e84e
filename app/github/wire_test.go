package github_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// wire is what was sent, in order.
type wire struct {
	mu   sync.Mutex
	sent []sent
}

type sent struct {
	method, path string
	body         map[string]any
}

func (w *wire) record(r *http.Request) sent {
	raw, _ := io.ReadAll(r.Body)
	s := sent{method: r.Method, path: strings.TrimPrefix(r.URL.Path, "/api/v3/repos/acme/shop/")}
	_ = json.Unmarshal(raw, &s.body)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, s)
	return s
}

func (s sent) output() map[string]any { o, _ := s.body["output"].(map[string]any); return o }

func (s sent) annotations() []any { a, _ := s.output()["annotations"].([]any); return a }

func recording(t *testing.T) (*stub, *wire) {
	w := &wire{}
	return newStub(t, func(out http.ResponseWriter, r *http.Request) {
		w.record(r)
		created(out, r)
	}), w
}

func manyAnnotations(n int) (all []pipeline.Annotation) {
	for i := range n {
		all = append(all, pipeline.Annotation{Path: "src/a.go", Line: i + 1, Level: "failure", Message: fmt.Sprint("mistake ", i)})
	}
	return all
}

func TestAnnotationsGoInFiftiesAndEachOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		have, confirmed int
		batches         string
		now             int
	}{
		{0, 0, "[0]", 0}, {1, 0, "[1]", 1}, {50, 0, "[50]", 50}, {51, 0, "[50 1]", 51}, {200, 0, "[50 50 50 50]", 200},
		{201, 0, "[50 50 50 50]", 200}, {51, 50, "[1]", 51}, {51, 51, "[0]", 51}, {120, 30, "[50 40]", 120}, {201, 200, "[0]", 200}, {3, 90, "[0]", 3},
	} {
		s, w := recording(t)
		run := check()
		run.Annotations, run.Confirmed = manyAnnotations(c.have), c.confirmed
		id, confirmed, err := s.installation(t).UpsertCheck(testContext(t), shop, run)
		var batches []int
		seen := map[string]int{}
		for _, one := range w.sent {
			batches = append(batches, len(one.annotations()))
			for _, a := range one.annotations() {
				seen[a.(map[string]any)["message"].(string)]++
			}
			if len(one.output()["summary"].(string)) > 65_535 {
				t.Error("a summary is too long")
			}
		}
		if err != nil || id != 4711 || confirmed != c.now || fmt.Sprint(batches) != c.batches {
			t.Errorf("%d with %d confirmed: batches %v, %d confirmed, %v", c.have, c.confirmed, batches, confirmed, err)
		}
		for message, n := range seen {
			if n != 1 {
				t.Errorf("%q was sent %d times", message, n)
			}
		}
		if c.have > 200 && !strings.Contains(w.sent[0].output()["summary"].(string), "200 of 201 annotations") {
			t.Error("nothing says that annotations are missing")
		}
	}
}

func TestWhatWasConfirmedBeforeAnErrorIsTold(t *testing.T) {
	t.Parallel()
	n := 0
	s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 3 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		created(w, r)
	})
	run := check()
	run.Annotations = manyAnnotations(160)
	id, confirmed, err := s.installation(t).UpsertCheck(testContext(t), shop, run)
	var u *github.Unavailable
	if id != 4711 || confirmed != 100 || !errors.As(err, &u) || !u.Unknown {
		t.Fatalf("id %d, %d confirmed, %v", id, confirmed, err)
	}
}

func TestLongTextIsCutWhereGitHubTakesIt(t *testing.T) {
	t.Parallel()
	s, w := recording(t)
	run := check()
	run.Title = strings.Repeat("é", 300)
	run.Summary = strings.Repeat("日", 70_000)
	run.Text = "```go\n" + strings.Repeat("x := \"ünï\"\n", 10_000)
	run.Annotations = []pipeline.Annotation{
		{Path: "../../etc/passwd", Line: -3, Level: "fatal", Title: strings.Repeat("字", 300), Message: strings.Repeat("\u202e語", 60_000) + "\xff"},
		{Path: "", Message: " \x00 "}, {Path: "/etc/passwd"}, {Path: "./ok/file.go", Line: 7, Level: "notice", Message: "m"}, {Path: "a\nb"}, {Path: `..\x`},
	}
	if _, _, err := s.installation(t).UpsertCheck(testContext(t), shop, run); err != nil {
		t.Fatal(err)
	}
	o := w.sent[0].output()
	for field, most := range map[string]int{"title": 255, "summary": 65_535, "text": 65_535} {
		text := o[field].(string)
		if len(text) > most || len(text) < most*9/10 || !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) {
			t.Errorf("%s has %d bytes", field, len(text))
		}
	}
	if text := o["text"].(string); strings.Count(text, "```") != 2 || !strings.HasSuffix(text, "the rest is cut off here.") {
		t.Errorf("the text ends in %q", text[len(text)-80:])
	}
	paths := ""
	for _, a := range w.sent[0].annotations() {
		m := a.(map[string]any)
		paths += fmt.Sprintf("%v:%v:%v ", m["path"], m["start_line"], m["annotation_level"])
		if message := m["message"].(string); message == "" || len(message) > 64<<10 || strings.ContainsRune(message, '\u202e') {
			t.Errorf("a message of %d bytes", len(message))
		}
		if title, _ := m["title"].(string); len(title) > 255 {
			t.Errorf("a title of %d bytes", len(title))
		}
	}
	if paths != ".github:1:warning .github:1:warning .github:1:warning ok/file.go:7:notice .github:1:warning .github:1:warning " {
		t.Errorf("paths %s", paths)
	}
}

func TestACheckThatWaitedShowsWhenItReallyStarted(t *testing.T) {
	t.Parallel()
	s, w := recording(t)
	run := check()
	run.ID, run.Status, run.Conclusion = 12, pipeline.Completed, pipeline.Success
	run.StartedAt = time.Date(2026, 1, 2, 3, 4, 5, 678, time.FixedZone("", 3600))
	run.CompletedAt = run.StartedAt.Add(time.Minute)
	run.DetailsURL = "https://ci.example/run/1"
	run.Actions = []github.Action{{Label: strings.Repeat("Approve ", 9), Description: strings.Repeat("x", 99), Identifier: "approve:production"}}
	if _, _, err := s.installation(t).UpsertCheck(testContext(t), shop, run); err != nil {
		t.Fatal(err)
	}
	one := w.sent[0]
	got := fmt.Sprintf("%s %s %v %v %v %v %v", one.method, one.path, one.body["started_at"], one.body["completed_at"], one.body["status"], one.body["conclusion"], one.body["name"])
	if got != "PATCH check-runs/12 2026-01-02T02:04:05Z 2026-01-02T02:05:05Z completed success conveyor / test" {
		t.Errorf("sent %s", got)
	}
	action := one.body["actions"].([]any)[0].(map[string]any)
	if len([]rune(action["label"].(string))) != 20 || len([]rune(action["description"].(string))) != 40 || action["identifier"] != "approve:production" {
		t.Errorf("action %v", action)
	}
}

func TestAnImpossibleCheckIsNotSent(t *testing.T) {
	t.Parallel()
	s, w := recording(t)
	in, ctx := s.installation(t), testContext(t)
	for name, change := range map[string]func(*github.CheckRun){
		"completed without conclusion": func(c *github.CheckRun) { c.Status = pipeline.Completed },
		"conclusion while running":     func(c *github.CheckRun) { c.Conclusion = pipeline.Success },
		"a status of Actions":          func(c *github.CheckRun) { c.Status = "waiting" },
		"no name":                      func(c *github.CheckRun) { c.Name = "" },
		"no external id":               func(c *github.CheckRun) { c.ExternalID = "" },
		"a branch for a commit":        func(c *github.CheckRun) { c.Commit = "main" },
		"a script for a link":          func(c *github.CheckRun) { c.DetailsURL = "javascript:alert(1)" },
		"four actions":                 func(c *github.CheckRun) { c.Actions = make([]github.Action, 4) },
		"an identifier that GitHub cuts": func(c *github.CheckRun) {
			c.Actions = []github.Action{{Label: "x", Description: "x", Identifier: strings.Repeat("x", 21)}}
		},
	} {
		c := check()
		change(&c)
		if _, _, err := in.UpsertCheck(ctx, shop, c); err == nil {
			t.Errorf("%s was sent", name)
		}
	}
	if len(w.sent) != 0 {
		t.Errorf("%d requests", len(w.sent))
	}
}

func TestADeploymentIsAskedForWithoutGitHubsTraps(t *testing.T) {
	t.Parallel()
	s, w := recording(t)
	d := github.Deployment{
		Name: "d-1", Run: "run/501/guid", Approval: "a-1", Digest: "sha256:" + pipeline.Digest(strings.Repeat("0", 64)), Commit: sha,
		Environment: "production", Description: strings.Repeat("é", 200), Production: true,
	}
	if id, err := s.installation(t).UpsertDeployment(testContext(t), shop, d); err != nil || id != 4711 {
		t.Fatal(id, err)
	}
	b := w.sent[0].body
	planted, _ := b["payload"].(map[string]any)
	contexts, ok := b["required_contexts"].([]any)
	if b["auto_merge"] != false || !ok || len(contexts) != 0 || b["ref"] != string(sha) || b["production_environment"] != true || b["transient_environment"] != false {
		t.Errorf("sent %v", b)
	}
	if fmt.Sprint(planted) != fmt.Sprintf("map[approval:a-1 deployment:d-1 digest:%s run:run/501/guid]", d.Digest) || len([]rune(b["description"].(string))) != 140 {
		t.Errorf("sent %v", b)
	}
	d.ID = 9
	if id, err := s.installation(t).UpsertDeployment(testContext(t), shop, d); err != nil || id != 9 || len(w.sent) != 1 {
		t.Errorf("a known deployment was asked for again: %d, %v", id, err)
	}
}

func TestWhatGitHubSaysInsteadOfADeploymentIsExplained(t *testing.T) {
	t.Parallel()
	for status, words := range map[int]string{202: "merged a branch", 409: "bring the branch up to date", 422: "No ref found"} {
		s := newStub(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, `{"message":"No ref found for: x"}`)
		})
		_, err := s.installation(t).UpsertDeployment(testContext(t), shop, github.Deployment{Name: "d", Environment: "staging", Commit: sha})
		var refused *github.Refused
		if !errors.As(err, &refused) || refused.Status != status || !strings.Contains(err.Error(), words) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestACommentIsCutAndKeepsItsMarker(t *testing.T) {
	t.Parallel()
	s, w := recording(t)
	in, ctx := s.installation(t), testContext(t)
	if _, err := in.UpsertComment(ctx, shop, 3, github.Comment{Marker: "deploy/preview", Body: strings.Repeat("日", 70_000)}); err != nil {
		t.Fatal(err)
	}
	body := w.sent[0].body["body"].(string)
	if len(body) >= 65_536 || !strings.HasPrefix(body, "<!-- conveyor:deploy/preview -->\n日") || !utf8.ValidString(body) {
		t.Errorf("%d bytes, %q", len(body), body[:40])
	}
	for _, marker := range []string{"", "a-->b", "a--b", "a b", "a\nb", "-a", strings.Repeat("a", 300)} {
		if _, err := in.UpsertComment(ctx, shop, 3, github.Comment{Marker: marker}); err == nil {
			t.Errorf("marker %q was taken", marker)
		}
	}
	if err := in.React(ctx, shop, 5, "thumbs"); err == nil {
		t.Error("an unknown reaction was sent")
	}
}
