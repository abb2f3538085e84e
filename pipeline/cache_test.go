package pipeline_test

import (
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestOnlyATrustedPushToTheDefaultBranchFillsTheCache(t *testing.T) {
	t.Parallel()
	good := func() pipeline.State {
		return pipeline.State{Trust: pipeline.Writer, Trigger: pipeline.Trigger{Kind: pipeline.Push, Branch: "main", Repo: pipeline.Repo{ID: 7, Branch: "main"}}}
	}
	if !good().MayFillCache() {
		t.Error("a push to the default branch does not")
	}
	for name, spoil := range map[string]func(*pipeline.State){
		"nobody":               func(s *pipeline.State) { *s = pipeline.State{} },
		"outside":              func(s *pipeline.State) { s.Trust = pipeline.Outside },
		"allowed":              func(s *pipeline.State) { s.Trust = pipeline.Allowed },
		"a pull request":       func(s *pipeline.State) { s.Trigger.Kind = pipeline.PullRequest },
		"a merge group":        func(s *pipeline.State) { s.Trigger.Kind = pipeline.MergeGroup },
		"a fork":               func(s *pipeline.State) { s.Trigger.Fork = true },
		"another branch":       func(s *pipeline.State) { s.Trigger.Branch = "topic" },
		"no known default":     func(s *pipeline.State) { s.Trigger.Repo.Branch = "" },
		"no branch whatsoever": func(s *pipeline.State) { s.Trigger.Branch, s.Trigger.Repo.Branch = "", "" },
	} {
		s := good()
		spoil(&s)
		if s.MayFillCache() {
			t.Errorf("%s fills it", name)
		}
	}
}
