package pipeline_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestAnImagesNameStandsForTheSameBytesAllThroughARun(t *testing.T) {
	t.Parallel()
	one, two := pipeline.Digest("sha256:"+strings.Repeat("1", 64)), pipeline.Digest("sha256:"+strings.Repeat("2", 64))
	before := pipeline.Apply(pipeline.State{}, requested())
	first := pipeline.Apply(before, pipeline.ImageResolved{Image: "node:20", Digest: one, At: at(1)})
	if before.Images != nil || first.Images["node:20"] != one {
		t.Fatalf("%v, and before it %v", first.Images, before.Images)
	}
	for name, e := range map[string]pipeline.ImageResolved{
		"a tag that has moved": {Image: "node:20", Digest: two}, "no digest": {Image: "go:1", Digest: "latest"},
	} {
		if s := pipeline.Apply(first, e); len(s.Images) != 1 || s.Images["node:20"] != one {
			t.Errorf("%s: %v", name, s.Images)
		}
	}
	other := pipeline.Apply(first, pipeline.ImageResolved{Image: "go:1", Digest: two, At: at(2)})
	if len(first.Images) != 1 || len(other.Images) != 2 || other.Images["go:1"] != two {
		t.Errorf("%v after %v", other.Images, first.Images)
	}
	if s := pipeline.Apply(pipeline.State{}, pipeline.ImageResolved{Image: "node:20", Digest: one}); s.Images != nil {
		t.Errorf("a run that was not requested has %v", s.Images)
	}
	if len(pipeline.Next(first)) != len(pipeline.Next(before)) {
		t.Error("what is owed has changed")
	}
}

func TestTheDigestOfAnImageIsStoredAndReadBack(t *testing.T) {
	t.Parallel()
	e := pipeline.ImageResolved{Image: "node:20", Digest: pipeline.Digest("sha256:" + strings.Repeat("1", 64)), At: at(1)}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pipeline.Decode("image_resolved", text); err != nil || got != e {
		t.Errorf("%#v, %v", got, err)
	}
}

func TestThePlanTellsItsImagesOnceEach(t *testing.T) {
	t.Parallel()
	p := pipeline.Plan{Stages: []pipeline.Stage{{Steps: []pipeline.Step{{Image: "b"}, {}, {Image: "a"}}}, {Steps: []pipeline.Step{{Image: "b"}, {Image: "c"}}}}}
	if got := strings.Join(p.ImageNames(), " "); got != "b a c" {
		t.Errorf("%q", got)
	}
}

func TestTheImagesOfAPlanAreThoseOfStepsAndServicesEachOnce(t *testing.T) {
	t.Parallel()
	db := pipeline.Service{Name: "db", Image: "postgres:17"}
	plan := pipeline.Plan{Stages: []pipeline.Stage{
		{Steps: []pipeline.Step{{Name: "tools of the host", Services: []pipeline.Service{db}}, {Name: "a", Image: "node:20", Services: []pipeline.Service{db, {Name: "cache", Image: "redis:7"}}}}},
		{Steps: []pipeline.Step{{Name: "b", Image: "redis:7"}, {Name: "c"}}},
	}}
	if got := strings.Join(plan.ImageNames(), " "); got != "postgres:17 node:20 redis:7" {
		t.Errorf("got %q", got)
	}
}
