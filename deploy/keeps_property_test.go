package deploy_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// TestWhatAnEnvironmentRunsOrCouldGoBackToIsNeverThrownAway plays random histories of many builds, each of other bytes,
// beside a store that throws away, at any moment, all that the state does not keep. Whatever runs, is on its way, waits, or is
// gone back to must be there.
func TestWhatAnEnvironmentRunsOrCouldGoBackToIsNeverThrownAway(t *testing.T) {
	t.Parallel()
	thrown, back := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		store := map[pipeline.Digest]bool{}
		s := deploy.Apply(deploy.State{}, deploy.Defined{Repo: shop, Commit: commit('0'), Pushed: true, Plan: "p1", Environments: []pipeline.Environment{
			{Name: "staging", On: pipeline.EnvOn{Branch: "main"}, Artifact: "site"}, {Name: "production", After: "staging", Artifact: "site"},
		}})
		s = deploy.Apply(s, pull('a', 0))
		often := rapid.IntRange(1, 8).Draw(t, "how often something is deployed")
		for n := range 200 {
			second := 10 * n
			env := rapid.SampledFrom([]string{"staging", "production"}).Draw(t, "env")
			p := s.Places[env]
			switch what := rapid.IntRange(0, 8).Draw(t, "what"); {
			case p.Flight != nil:
				s = deploy.Apply(s, deploy.DeployFinished{Deployment: p.Flight.ID, OK: what > 1, Reason: "no", At: at(second)})
			case p.Waiting != nil && what < often:
				s = deploy.Apply(s, deploy.DeployStarted{Deployment: p.Waiting.ID, Environment: env, Commit: p.Waiting.Commit, Digest: p.Waiting.Digest, At: at(second)})
			case what == 8 && len(p.Past) > 0:
				to := rapid.SampledFrom(p.Past).Draw(t, "to")
				id := fmt.Sprint("c", n)
				s = deploy.Apply(s, say(id, hubot, deploy.Rollback, env, second, func(c *deploy.Command) { c.Digest = string(to.Digest[len("sha256:"):]) }))
				s = deploy.Apply(s, role(id, pipeline.Admin, second))
				if w := s.Places[env].Waiting; w != nil && w.Rollback {
					back++
				}
			default:
				made := pipeline.Digest(fmt.Sprintf("sha256:%064x", n+1))
				run := pipeline.RunID(fmt.Sprint("run/7/", n))
				store[made] = true
				s = deploy.Apply(s, deploy.RunBegan{Run: run, Trust: pipeline.Writer, At: at(second), Trigger: pipeline.Trigger{
					Kind: pipeline.Push, Delivery: fmt.Sprint(n), Repo: shop, Branch: "main", Commit: pipeline.Commit(fmt.Sprintf("%040x", n+1)), Actor: mona, At: at(second),
				}})
				s = deploy.Apply(s, deploy.RunEnded{Run: run, Conclusion: pipeline.Success, At: at(second), Artifacts: []pipeline.Artifact{{Name: "site", Digest: made}}})
			}
			if rapid.IntRange(0, 3).Draw(t, "collect") == 0 {
				keeps := s.Keeps()
				for d := range store {
					if !slices.Contains(keeps, d) {
						delete(store, d)
						thrown++
					}
				}
			}
			for name, p := range s.Places {
				var needed []pipeline.Digest
				for _, w := range []*deploy.Promotion{p.Flight, p.Waiting} {
					if w != nil {
						needed = append(needed, w.Digest)
					}
				}
				for _, r := range p.Past {
					needed = append(needed, r.Digest)
				}
				if p.Live != nil {
					needed = append(needed, p.Live.Digest)
				}
				for _, d := range needed {
					if !store[d] {
						t.Fatalf("%s needs %s, which was thrown away", name, d)
					}
				}
			}
		}
	})
	t.Logf("%d artifacts were thrown away, %d rollbacks asked for", thrown, back)
	if thrown == 0 || back == 0 {
		t.Fatalf("the histories were too tame: %d artifacts were thrown away, %d rollbacks asked for", thrown, back)
	}
}
