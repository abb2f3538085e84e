package app

import (
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

const graphed = `version: 0.2
batch:
  build-graph:
    - identifier: lint
    - identifier: site
      depend-on: [lint]
phases: {build: {commands: [make]}}
`

func TestBuildsOfAGraphNeedEachOtherAndWhoNeedsTheirStepNeedsThemAll(t *testing.T) {
	t.Parallel()
	read := func(path string) ([]byte, error) {
		if path != "buildspec.yml" {
			return nil, source.ErrNoFile
		}
		return []byte(graphed), nil
	}
	plan := pipeline.Plan{Stages: []pipeline.Stage{
		{Name: "test", Steps: []pipeline.Step{
			{Name: "first", Run: "true"},
			{Name: "shop", Buildspec: "buildspec.yml", Needs: []string{"first"}},
			{Name: "last", Run: "true", Needs: []string{"shop", "first"}},
		}},
		{Name: "now", Steps: []pipeline.Step{{Name: "now", Buildspec: "buildspec.yml", AtOnce: true}}},
	}}
	resolved, problems, err := Resolve(plan, nil, read)
	if err != nil || len(problems) > 0 {
		t.Fatalf("%+v, %v", problems, err)
	}
	got := map[string]pipeline.Step{}
	for _, stage := range resolved.Stages {
		for _, step := range stage.Steps {
			got[step.Name] = step
		}
	}
	for name, want := range map[string][]string{
		"first": nil, "shop-lint": {"first"}, "shop-site": {"first", "shop-lint"}, "last": {"shop-lint", "shop-site", "first"},
		"now-lint": nil, "now-site": {"now-lint"},
	} {
		if !slices.Equal(got[name].Needs, want) {
			t.Errorf("%s needs %q, not %q", name, got[name].Needs, want)
		}
	}
	if !got["now-lint"].AtOnce || got["now-site"].AtOnce || got["shop-site"].Of != "shop" {
		t.Errorf("%+v", got)
	}

	plan.Stages[0].Steps[2].Take = map[string]pipeline.Output{"VERSION": {Step: "shop", Name: "version"}}
	if _, problems, err = Resolve(plan, nil, read); err != nil || len(problems) != 1 || !strings.Contains(problems[0].Hint, "shop-lint, shop-site") {
		t.Errorf("a value of several steps: %+v, %v", problems, err)
	}
}
