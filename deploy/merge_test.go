package deploy_test

import (
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestWhatIsMadeOfAMergeIsNoBuildWhateverItsRunSays(t *testing.T) {
	t.Parallel()
	for _, merge := range []pipeline.Commit{"", pipeline.Commit(strings.Repeat("c", 40))} {
		s := deploy.Apply(deploy.State{}, deploy.RunBegan{Run: "run/7/a", Trust: pipeline.Writer, Into: merge, Trigger: pipeline.Trigger{
			Kind: pipeline.PullRequest, Repo: pipeline.Repo{ID: 7}, Commit: pipeline.Commit(strings.Repeat("b", 40)), Pull: 1, Base: "main",
		}})
		s = deploy.Apply(s, deploy.RunEnded{Run: "run/7/a", Conclusion: pipeline.Success, Artifacts: []pipeline.Artifact{{Name: "site", Digest: pipeline.Digest("sha256:" + strings.Repeat("1", 64))}}})
		if built := len(s.Builds) == 1; built != (merge == "") {
			t.Errorf("merge %q: %+v", merge, s.Builds)
		}
	}
}
