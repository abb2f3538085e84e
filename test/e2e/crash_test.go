package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
)

// short is the story in which the server is killed: push, two stages, staging, a panel, an approval, production.
func (h *house) short() {
	h.t.Helper()
	files := withSites("one")
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "stages:\n", "stages:\n  - name: lint\n    steps:\n      - {name: words, run: \"true\"}\n      - {name: style, run: \"true\"}\n", 1)
	first := h.push("main", "author", "first", files)
	staged := h.deployed("staging", first)
	pull := h.pull("change", plan("true"))
	h.comment(pull, "maintainer", "/approve production@"+first[:10])
	if d := h.deployed("production", first); d.Digest != staged.Digest {
		h.t.Errorf("production got %s, staging runs %s", d.Digest, staged.Digest)
	}
	h.serves("production", "one")
	h.concluded(pull.HeadSHA, "conveyor / test")
	h.answered(pull, "Approved: ")
}

// ledger is what GitHub recorded, without what differs from one playing to the next.
func (h *house) ledger() string {
	h.t.Helper()
	l := h.gh.Ledger()
	var lines []string
	for _, run := range l.CheckRuns {
		lines = append(lines, fmt.Sprintf("check %s: %s %s", run.Name, run.Status, run.Conclusion))
	}
	for _, d := range l.Deployments {
		// A server that was away may have missed showing the start, which is over by then.
		states := slices.DeleteFunc(d.States, func(s string) bool { return s == "in_progress" })
		lines = append(lines, fmt.Sprintf("deployment to %s of %s: %v", d.Environment, d.Digest, states))
	}
	for _, c := range l.Comments {
		words, _, _ := strings.Cut(strings.ReplaceAll(c.Body, "@", "/"), "/answer/") // what follows names a delivery or a commit
		lines = append(lines, fmt.Sprintf("comment of %s: %.19s", c.Author, words))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func TestAServerKilledAtAnyMomentEndsInTheSameLedger(t *testing.T) {
	t.Parallel()
	counted := &killer{}
	whole := found(t, counted.watch)
	whole.serve()
	whole.short()
	whole.ends()
	want, calls := whole.ledger(), counted.count()
	if calls < 15 {
		t.Fatalf("the story made %d calls only", calls)
	}
	const kills = 16
	for i := range kills {
		n, when := 1+i*(calls-1)/(kills-1), "before"
		if i%2 == 1 {
			when = "after"
		}
		t.Run(fmt.Sprintf("%s call %d of %d is done", when, n, calls), func(t *testing.T) {
			t.Parallel()
			k := &killer{at: n, done: when == "after", server: make(chan *child, 1), reached: make(chan struct{}), spared: make(chan struct{})}
			h := found(t, k.watch)
			first := h.serve()
			k.server <- first
			back := make(chan struct{})
			go func() {
				defer close(back)
				select {
				case <-k.spared:
					return
				case <-k.reached:
				}
				h.serve()
				h.redeliver()
			}()
			h.short()
			h.until("the kill, or a server at rest", func() bool {
				select {
				case <-k.reached:
					return true
				default:
					return first.rests(t.Context())
				}
			})
			k.spare()
			<-back
			h.ends()
			if got := h.ledger(); got != want {
				t.Errorf("the ledger is\n%s\nwithout a crash it is\n%s", got, want)
			}
		})
	}
}

// killer stands before GitHub and kills the server at the n-th call, before GitHub has done what is asked, or after it
// has and before it has answered.
type killer struct {
	at      int
	done    bool          // after GitHub has done it
	server  chan *child   // holds the one to kill; its first call may come before the test knows that it is ready
	reached chan struct{} // closed when the server is dead
	spared  chan struct{} // closed when the story was over before the n-th call

	mu   sync.Mutex
	seen int
}

// spare lets a server live that needed fewer calls than the one whose calls were counted: news that waits for newer news
// is told once or twice.
func (k *killer) spare() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen < k.at {
		k.at = 0
		close(k.spared)
	}
}

func (k *killer) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.seen
}

// watch puts the killer before the house's GitHub.
func (k *killer) watch(h *house) {
	check := h.github.Wrap
	h.github.Wrap = func(next http.Handler) http.Handler {
		next = check(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, "/api/v3/") {
				next.ServeHTTP(w, r)
				return
			}
			k.mu.Lock()
			k.seen++
			now := k.seen == k.at
			k.mu.Unlock()
			if !now {
				next.ServeHTTP(w, r)
				return
			}
			if k.done {
				next.ServeHTTP(httptest.NewRecorder(), r)
			}
			(<-k.server).kill()
			close(k.reached)
			panic(http.ErrAbortHandler) // there is nobody to answer
		})
	}
}

// redeliver delivers again what was not taken, as a person does at GitHub, or a script.
func (h *house) redeliver() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.gh.Quiet(ctx); err != nil {
		h.t.Error(err)
	}
	taken := map[string]bool{}
	for _, d := range h.gh.Deliveries() {
		taken[d.GUID] = taken[d.GUID] || d.StatusCode/100 == 2
	}
	for _, d := range h.gh.Deliveries() {
		if taken[d.GUID] {
			continue
		}
		taken[d.GUID] = true
		if err := h.gh.Redeliver(d.ID); err != nil {
			h.t.Error(err)
		}
	}
}
