package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appgithub "github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/test/github"
	"github.com/conveyor-ci/conveyor/test/redisserver"
)

// inRedis keeps the house's journal in a Redis of its own.
func inRedis(t *testing.T) (*redisserver.Server, func(*house)) {
	t.Helper()
	server := redisserver.Start(t)
	return server, func(h *house) { h.config.RedisURL = appgithub.NewSecret(server.URL()) }
}

func TestTheWholeStoryWithTheJournalInRedis(t *testing.T) {
	t.Parallel()
	_, there := inRedis(t)
	h := open(t, there)
	h.journey()
	h.onceEach()
	if _, err := os.Stat(filepath.Join(h.config.DataDir, "journal.db")); !os.IsNotExist(err) {
		t.Errorf("there is a journal in a file, too: %v", err)
	}
}

func TestWhileRedisIsDeadNoWebhookIsTakenAndNothingThatWasTakenIsLost(t *testing.T) {
	t.Parallel()
	store, there := inRedis(t)
	h := open(t, there)
	first := h.push("main", "author", "first", waits("one"))
	workspace := h.runs("unit", "1")
	pull := must(h.gh.OpenPull(repo, "author", "talk", h.topic(first), "main"))(t)
	h.settled()

	store.Kill()
	h.refuses(func() { h.comment(pull, "maintainer", "/help") })
	h.letGo(workspace) // what runs ends while its end cannot be written down
	h.refuses(func() { h.push("main", "author", "second", map[string]string{"page.html": "two"}) })
	if page := h.page("/readyz"); !strings.Contains(page, "journal") {
		t.Errorf("the readiness page does not speak of the journal: %s", page)
	}
	store.Restart()
	h.until("the journal to be back", func() bool { return strings.Contains(h.page("/readyz"), "ready\n") })
	h.redeliver()
	h.answered(pull, "this list")
	h.letGoOfAll()
	h.wait("both checks", func(v *github.View) bool {
		done := 0
		for _, run := range v.CheckRuns(repo, "") {
			if run.Name == "conveyor / test" && run.Status == "completed" && run.Conclusion == "success" {
				done++
			}
		}
		return done == 2
	})
	h.until("staging to serve the second", func() bool {
		page, err := os.ReadFile(filepath.Join(h.site("staging"), "index.html"))
		return err == nil && string(page) == "two"
	})
	h.ends()
}

// settled waits until every webhook so far was answered.
func (h *house) settled() {
	h.t.Helper()
	if err := h.gh.Quiet(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// refuses wants every webhook that something raises to be answered with 503.
func (h *house) refuses(raise func()) {
	h.t.Helper()
	before := len(h.gh.Deliveries())
	raise()
	h.settled()
	after := h.gh.Deliveries()[before:]
	if len(after) == 0 {
		h.t.Error("no webhook was sent")
	}
	for _, d := range after {
		if d.StatusCode != http.StatusServiceUnavailable {
			h.t.Errorf("without a journal %s was answered with %d (%s)", d.Event, d.StatusCode, d.Status)
		}
	}
}

// letGoOfAll lets every step go on that waits now or that comes to wait, until the test ends.
func (h *house) letGoOfAll() {
	h.t.Helper()
	h.until("the steps", func() bool {
		found, _ := filepath.Glob(filepath.Join(h.config.DataDir, "source", "work", "*", "merged"))
		for _, dir := range found {
			_ = os.WriteFile(filepath.Join(dir, "let-go"), nil, 0o644) // it may be over already
		}
		over := false
		h.gh.Look(func(v *github.View) {
			done := 0
			for _, run := range v.CheckRuns(repo, "") {
				if run.Status == "completed" {
					done++
				}
			}
			over = done >= 2
		})
		return over
	})
}
