package deploy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// history plays random events, in any order, late and repeated, and keeps an account of its own of what people said.
type history struct {
	t       *rapid.T
	s       deploy.State
	second  int
	next    int
	words   []word // every approval or rollback that someone with the right has said
	asked   map[string]word
	flights map[string]string          // environment → deployment on its way, by our own account
	ran     map[string]map[string]bool // environment → digests that it ran
	staged  string                     // what staging runs: commit and digest
}

// word is what a person said, with what it was bound to when it was said.
type word struct {
	verb   deploy.Verb
	env    string
	commit pipeline.Commit
	may    bool
	actor  int64
	at     time.Time
}

func (h *history) apply(e deploy.Event) { h.s = deploy.Apply(h.s, e) }

func (h *history) step() {
	h.second += rapid.IntRange(0, 3).Draw(h.t, "pass")
	if rapid.IntRange(0, 30).Draw(h.t, "long") == 0 {
		h.second += 13 * 3600
	}
	c := rapid.SampledFrom([]byte("abc")).Draw(h.t, "commit")
	switch rapid.SampledFrom([]string{"pull", "close", "merge", "push", "push", "command", "command", "role", "role", "start", "start", "start", "finish", "finish", "card", "closed gate", "remove", "redefine"}).Draw(h.t, "what") {
	case "pull":
		h.apply(pull(c, h.second))
	case "close":
		h.apply(pull(c, h.second, closed))
	case "merge":
		h.apply(pull(c, h.second, merged(c)))
	case "push":
		d := rapid.SampledFrom([]byte("12")).Draw(h.t, "digest")
		h.next++
		for _, e := range run(rapid.SampledFrom([]pipeline.TriggerKind{pipeline.Push, pipeline.PullRequest}).Draw(h.t, "kind"), c, d, h.second) {
			switch e := e.(type) {
			case deploy.RunBegan:
				e.Run += pipeline.RunID(fmt.Sprint(h.next))
				h.apply(e)
			case deploy.RunEnded:
				e.Run += pipeline.RunID(fmt.Sprint(h.next))
				h.apply(e)
			}
		}
	case "command":
		h.next++
		id := fmt.Sprintf("c%d", h.next)
		who := rapid.SampledFrom([]pipeline.Actor{mona, hubot, hubot, lena}).Draw(h.t, "who")
		verb := rapid.SampledFrom([]deploy.Verb{deploy.Approve, deploy.Approve, deploy.Promote, deploy.Rollback}).Draw(h.t, "verb")
		w := word{verb: verb, env: "production", actor: who.ID}
		e := say(id, who, verb, w.env, h.second).(deploy.Commanded)
		if rapid.Bool().Draw(h.t, "explicit") {
			named := commit(c)
			if waits := h.s.Places[w.env].Waiting; waits != nil && rapid.IntRange(0, 3).Draw(h.t, "knowing") > 0 {
				named = waits.Commit
			}
			e.Command.Commit = string(named[:7])
			w.commit = named
		} else if p, ok := h.s.Pulls[12]; ok {
			w.commit = p.Head
			if p.Merged {
				w.commit = p.MergeCommit
			}
		}
		h.asked[id] = w
		h.apply(e)
	case "role":
		for id, p := range h.s.Commands {
			if p.Decided {
				continue
			}
			r := rapid.SampledFrom([]pipeline.Role{pipeline.Read, pipeline.Write, pipeline.Maintain, pipeline.Maintain, pipeline.Admin}).Draw(h.t, "role")
			w := h.asked[id]
			if w.commit == "" { // the pull request was not known when it was said: it is bound now
				if p, ok := h.s.Pulls[12]; ok {
					w.commit = p.Head
					if p.Merged {
						w.commit = p.MergeCommit
					}
				}
			}
			w.may, w.at = r == pipeline.Maintain || r == pipeline.Admin, at(h.second)
			h.words = append(h.words, w)
			h.apply(role(id, r, h.second))
			break
		}
	case "start":
		h.start()
	case "finish":
		if names := slices.Sorted(maps.Keys(h.flights)); len(names) > 0 {
			env := rapid.SampledFrom(names).Draw(h.t, "env")
			flight := h.s.Places[env].Flight
			ok := rapid.IntRange(0, 3).Draw(h.t, "ok") > 0
			h.apply(deploy.DeployFinished{Deployment: h.flights[env], OK: ok, Reason: "no", At: at(h.second)})
			delete(h.flights, env)
			if ok {
				if h.ran[env] == nil {
					h.ran[env] = map[string]bool{}
				}
				h.ran[env][string(flight.Commit)+string(flight.Digest)] = true
				if env == "staging" {
					h.staged = string(flight.Commit) + string(flight.Digest)
				}
			}
		}
	case "card":
		p := h.s.Places["production"]
		if p.Waiting != nil {
			known := h.s.Blank(p)
			known.FileCount = rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(h.t, "files")
			h.apply(deploy.CardKnown{Environment: p.Name, Promotion: p.Waiting.ID, Card: known, At: at(h.second)})
			for _, a := range h.s.Places["production"].Waiting.Approvals {
				if a.Card != known.Hash() {
					h.t.Fatalf("an approval of the card %.7s stays beside the card %.7s", a.Card, known.Hash())
				}
			}
		}
	case "closed gate":
		if w := h.s.Places["production"].Waiting; w != nil {
			h.apply(deploy.GateClosed{Environment: "production", Promotion: w.ID, Reason: "late", At: at(h.second)})
		}
	case "remove":
		h.apply(deploy.Removed{Environment: "preview/pr-12", At: at(h.second)})
	case "redefine":
		h.apply(defined())
	}
}

// start tries to start something: what waits, or something invented.
func (h *history) start() {
	env := rapid.SampledFrom([]string{"staging", "staging", "production", "production", "preview/pr-12"}).Draw(h.t, "env")
	if h.s.Gate(h.s.Places["production"], at(h.second)).Open && rapid.Bool().Draw(h.t, "at once") {
		env = "production"
	}
	e := deploy.DeployStarted{Environment: env, Deployment: env + "#1", Commit: commit('a'), Digest: digest('1'), At: at(h.second)}
	if w := h.s.Places[env].Waiting; w != nil && rapid.IntRange(0, 9).Draw(h.t, "honest") > 0 {
		e.Deployment, e.Commit, e.Digest = w.ID, w.Commit, w.Digest
	}
	before := h.s.Places[env]
	h.apply(e)
	after := h.s.Places[env]
	if after.Flight == nil || before.Flight != nil {
		return
	}
	if flying := h.flights[env]; flying != "" {
		h.t.Fatalf("%s started in %s while %s is on its way", e.Deployment, env, flying)
	}
	h.flights[env] = after.Flight.ID
	if env != "production" {
		return
	}
	f := after.Flight
	for _, w := range h.words {
		if !w.may || w.env != env || at(h.second).Sub(w.at) >= 24*time.Hour {
			continue
		}
		if f.Rollback && w.verb == deploy.Rollback {
			if !h.ran[env][string(f.Commit)+string(f.Digest)] {
				h.t.Fatalf("rolled back to %s, which production never ran", f.Digest.Short())
			}
			return
		}
		if !f.Rollback && w.verb == deploy.Approve && w.commit == f.Commit {
			if h.staged != string(f.Commit)+string(f.Digest) {
				h.t.Fatalf("production started %s %s, which staging does not run", f.Commit.Short(), f.Digest.Short())
			}
			return
		}
	}
	h.t.Fatalf("production started %s %s (rollback %v) on nobody's word", f.Commit.Short(), f.Digest.Short(), f.Rollback)
}

func TestNoHistoryPassesAGateWithoutTheWordOfSomeoneWhoMay(t *testing.T) {
	var flights, refused int
	rapid.Check(t, func(t *rapid.T) {
		h := &history{t: t, asked: map[string]word{}, flights: map[string]string{}, ran: map[string]map[string]bool{}}
		h.apply(defined())
		for range 250 {
			h.step()
			for _, p := range h.s.Places {
				if p.Flight != nil && h.flights[p.Name] != p.Flight.ID {
					t.Fatalf("%s flies %s, and the account says %q", p.Name, p.Flight.ID, h.flights[p.Name])
				}
			}
			deploy.Next(h.s)
		}
		flights += len(h.ran["production"])
		for _, c := range h.s.Commands {
			if c.Refused && strings.Contains(c.Say, "may be approved by") {
				refused++
			}
		}
	})
	t.Logf("%d releases in production, %d refusals", flights, refused)
	if flights == 0 || refused == 0 {
		t.Fatalf("the histories were too tame to prove anything: %d releases in production, %d refusals", flights, refused)
	}
}

func TestEveryEventMayComeTwice(t *testing.T) {
	events := chain(shipped(), say("c1", hubot, deploy.Approve, "production", 20), role("c1", pipeline.Maintain, 21),
		start("production", 1, 'e', '2', 22), done("production", 1, 23))
	var once, twice deploy.State
	for _, e := range events {
		once = deploy.Apply(once, e)
		twice = deploy.Apply(deploy.Apply(twice, e), e)
	}
	if a, b := fmt.Sprintf("%+v", once.Places["production"].Live), fmt.Sprintf("%+v", twice.Places["production"].Live); a != b {
		t.Fatalf("once %s, twice %s", a, b)
	}
	if once.Places["production"].Count != twice.Places["production"].Count {
		t.Fatal("a repeated event named a deployment of its own")
	}
}
