package pipeline_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
)

func release() pipeline.Manual {
	low, yes := "low", "true"
	return pipeline.Manual{Inputs: []pipeline.Input{
		{Name: "level", Type: pipeline.ChoiceInput, Options: []string{"low", "high"}, Default: &low},
		{Name: "dry-run", Type: pipeline.FlagInput, Default: &yes},
		{Name: "version", Type: pipeline.TextInput, Required: true},
		{Name: "note", Type: pipeline.TextInput},
	}}
}

func TestInputsAreCheckedAndDefaultsFilledIn(t *testing.T) {
	t.Parallel()
	values, wrong := release().Take(map[string]string{"version": "$(id)", "level": "high"})
	if want := map[string]string{"version": "$(id)", "level": "high", "dry-run": "true"}; len(wrong) != 0 || !maps.Equal(values, want) {
		t.Errorf("taken are %v, %q", values, wrong)
	}
	for name, given := range map[string]map[string]string{
		"the input version is missing: write version=…":                     {},
		"the input version is empty: write version=…":                       {"version": ""},
		"the input level must be one of low, high":                          {"version": "1", "level": "`x`"},
		"the input dry-run must be true or false":                           {"version": "1", "dry-run": "True"},
		"there is no input other; there are: level, dry-run, version, note": {"version": "1", "other": "x"},
		"the input note must be one line of characters that can be seen":    {"version": "1", "note": "a\nb"},
		"the input version must be one line of characters that can be seen": {"version": "\u202e1"},
		"the input note may have 1000 characters at most":                   {"version": "1", "note": strings.Repeat("x", 1001)},
	} {
		if _, wrong := release().Take(given); len(wrong) != 1 || wrong[0] != name {
			t.Errorf("%q: %q, want %q", given, wrong, name)
		}
	}
}

func TestAStepSeesItsInputsAsVariablesAndItsDigestCoversThem(t *testing.T) {
	t.Parallel()
	m := release()
	s := pipeline.State{Plan: pipeline.Plan{On: pipeline.On{Manual: &m}}, Trigger: pipeline.Trigger{Kind: pipeline.ByHand, Inputs: map[string]string{"dry-run": "false"}}}
	step := pipeline.Step{Name: "unit", Run: "make", Env: map[string]string{"INPUT_DRY_RUN": "plan", "A": "b"}}
	got := s.Chosen(step)
	if want := map[string]string{"INPUT_DRY_RUN": "false", "A": "b"}; !maps.Equal(got.Env, want) || step.Env["INPUT_DRY_RUN"] != "plan" {
		t.Errorf("it sees %v, and the plan's step has %v", got.Env, step.Env)
	}
	if pipeline.StepDigest(got, "t", nil) == pipeline.StepDigest(step, "t", nil) {
		t.Error("the digest does not cover what was chosen")
	}
	s.Trigger.Kind = pipeline.Push
	if got := s.Chosen(step); got.Env["INPUT_DRY_RUN"] != "plan" {
		t.Error("a push chooses something")
	}
}

func TestRunsAndChecksOfPipelinesHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	run := pipeline.NewRunID(7, "guid")
	checks := func(name string, kind pipeline.TriggerKind) string {
		p := pipeline.Plan{Name: name, Stages: []pipeline.Stage{{Name: "test", Steps: []pipeline.Step{{Name: "unit", Run: "make"}}}}}
		s := pipeline.Apply(pipeline.State{}, pipeline.Requested{Run: run.For(name), Plan: p, Trust: pipeline.Writer, Trigger: pipeline.Trigger{Kind: kind}})
		c := pipeline.Checks(s)[0]
		if pipeline.RunOf(7, c.External) != s.Run || pipeline.PipelineOfCheck(c.Name) != name {
			t.Errorf("%s at %s belongs to %s and %q", c.Name, c.External, pipeline.RunOf(7, c.External), pipeline.PipelineOfCheck(c.Name))
		}
		return string(s.Run) + " " + c.Name
	}
	for want, got := range map[string]string{
		"run/7/guid conveyor / test":              checks("", pipeline.Push),
		"run/7/guid.build build / test":           checks("build", pipeline.Push),
		"run/7/guid.build build / test (by hand)": checks("build", pipeline.ByHand),
	} {
		if got != want {
			t.Errorf("it is %q, want %q", got, want)
		}
	}
	if a, b := run.For("a b.yml"), run.For("a-b.yml"); a == b || strings.ContainsAny(string(a), " ") {
		t.Errorf("%s and %s", a, b)
	}
}
