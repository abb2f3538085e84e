package deploy_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// TestNothingEntersWhatIsLockedOrFrozen plays random histories, and keeps an account of its own of locks and freezes.
func TestNothingEntersWhatIsLockedOrFrozen(t *testing.T) {
	t.Parallel()
	var entered, kept int
	rapid.Check(t, func(t *rapid.T) {
		var (
			s        deploy.State
			second   int
			n        int
			lockedBy int // the pull request that holds staging
			lock     time.Time
			freeze   time.Time
			heads    = map[int]byte{12: 'a', 14: 'd'}
		)
		apply := func(events ...deploy.Event) {
			for _, e := range events {
				s = deploy.Apply(s, e)
			}
		}
		apply(chain(defined(), pull('a', 0), pull('d', 0, numbered(14)))...)
		for range 60 {
			second += rapid.IntRange(1, 1000).Draw(t, "pass")
			n++
			id := "c" + string(rune('0'+n))
			who := rapid.SampledFrom([]int{12, 14}).Draw(t, "pull")
			switch rapid.SampledFrom([]string{"lock", "unlock", "freeze", "unfreeze", "push", "wish", "start", "start", "finish", "end", "close"}).Draw(t, "what") {
			case "lock":
				apply(asked(id, mona, pipeline.Write, deploy.TakeLock, "staging", second, onPull(who), lasting(time.Hour))...)
				if s.Pulls[who].Open && (lockedBy == 0 || lockedBy == who || !at(second).Before(lock)) {
					lockedBy, lock = who, at(second).Add(time.Hour)
				}
			case "unlock":
				apply(asked(id, mona, pipeline.Maintain, deploy.EndLock, "staging", second, onPull(who), why("over"))...)
				lockedBy = 0
			case "freeze":
				apply(asked(id, hubot, pipeline.Maintain, deploy.TakeFreeze, "", second, lasting(time.Hour))...)
				freeze = at(second).Add(time.Hour)
			case "unfreeze":
				apply(asked(id, hubot, pipeline.Maintain, deploy.EndFreeze, "", second)...)
				freeze = time.Time{}
			case "push":
				c := rapid.SampledFrom([]byte("ef")).Draw(t, "commit")
				apply(run(pipeline.Push, c, c, second)...)
			case "wish":
				head := heads[who]
				apply(run(pipeline.PullRequest, head, head, second)...)
				apply(asked(id, mona, pipeline.Write, deploy.Promote, "staging", second, onPull(who))...)
			case "end":
				apply(deploy.LockEnded{Environment: "staging", At: at(second)}, deploy.FreezeEnded{At: at(second)})
				if !at(second).Before(lock) {
					lockedBy = 0
				}
			case "close":
				apply(pull(heads[who], second, numbered(who), closed))
				if lockedBy == who {
					lockedBy = 0
				}
			case "finish":
				if f := s.Places["staging"].Flight; f != nil {
					apply(deploy.DeployFinished{Deployment: f.ID, OK: true, At: at(second)})
				}
			case "start":
				p := s.Places["staging"]
				if p.Waiting == nil || p.Flight != nil {
					continue
				}
				w := *p.Waiting
				apply(deploy.DeployStarted{Deployment: w.ID, Environment: "staging", Commit: w.Commit, Digest: w.Digest, At: at(second)})
				if s.Places["staging"].Flight == nil {
					kept++
					continue
				}
				entered++
				if at(second).Before(freeze) {
					t.Fatalf("%s entered while everything is frozen", w.Commit.Short())
				}
				if lockedBy != 0 && at(second).Before(lock) && w.Commit != commit(heads[lockedBy]) {
					t.Fatalf("%s entered while #%d holds the lock", w.Commit.Short(), lockedBy)
				}
			}
			for _, owed := range deploy.Next(s) {
				d, ok := owed.(deploy.Deploy)
				if !ok || d.Environment != "staging" || s.Places["staging"].Flight != nil {
					continue
				}
				if _, locked := s.Locks["staging"]; len(s.Freezes) > 0 || locked && s.Places["staging"].Waiting.Commit != s.Pulls[s.Locks["staging"].Pull].Head {
					t.Fatalf("%s is owed while something holds it", d.Deployment)
				}
			}
		}
	})
	if entered == 0 || kept == 0 {
		t.Fatalf("the histories were too tame to prove anything: %d entered, %d were kept out", entered, kept)
	}
}
