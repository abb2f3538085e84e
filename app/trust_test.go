package app

import (
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestOnlyTheBasesPlanLetsAStrangersStagesRun(t *testing.T) {
	t.Parallel()
	head, base := pipeline.Commit(strings.Repeat("a", 40)), pipeline.Commit(strings.Repeat("b", 40))
	open := pipeline.Plan{On: pipeline.On{PullRequest: &pipeline.Filter{Outside: []string{"test"}}}}
	for _, c := range []struct {
		name  string
		trust pipeline.Trust
		plan  pipeline.Plan
		from  pipeline.Commit
		want  []string
	}{
		{"the base says so", pipeline.Outside, open, base, []string{"test"}},
		{"the head says so", pipeline.Outside, open, head, nil},
		{"nobody knows which commit says so", pipeline.Outside, open, "", nil},
		{"the base says nothing", pipeline.Outside, pipeline.Plan{On: pipeline.On{PullRequest: &pipeline.Filter{}}}, base, nil},
		{"the base has no pull requests", pipeline.Outside, pipeline.Plan{}, base, nil},
		{"the code is allowed", pipeline.Allowed, open, base, nil},
		{"the code is a writer's", pipeline.Writer, open, base, nil},
	} {
		if got := restricted(pipeline.Trigger{Commit: head}, c.trust, c.plan, c.from); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q may run, want %q", c.name, got, c.want)
		}
	}
}
