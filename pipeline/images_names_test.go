package pipeline_test

import (
	"slices"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestTheImagesOfAPlanAreThoseOfStepsAndServicesEachOnce(t *testing.T) {
	t.Parallel()
	db := pipeline.Service{Name: "db", Image: "postgres:17"}
	plan := pipeline.Plan{Stages: []pipeline.Stage{
		{Steps: []pipeline.Step{{Name: "tools of the host", Services: []pipeline.Service{db}}, {Name: "a", Image: "node:20", Services: []pipeline.Service{db, {Name: "cache", Image: "redis:7"}}}}},
		{Steps: []pipeline.Step{{Name: "b", Image: "redis:7"}, {Name: "c"}}},
	}}
	if got := plan.ImageNames(); !slices.Equal(got, []string{"postgres:17", "node:20", "redis:7"}) {
		t.Errorf("got %q", got)
	}
}
