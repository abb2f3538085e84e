package e2e

import (
	"testing"
)

func TestAPlanUsesFilesOfItsOwnCommit(t *testing.T) {
	t.Parallel()
	h := open(t)
	files := planned("stages: [{uses: ./ci/test.yml}]\n")
	files["ci/test.yml"] = "stages: [{name: shared, steps: [{name: unit, run: exit 3}]}]\n"
	first := h.push("main", "author", "red", files)
	files["ci/test.yml"] = "stages: [{name: shared, steps: [{name: unit, run: \"true\"}]}]\n"
	second := h.push("main", "author", "green", files)
	files["ci/test.yml"] = "stages: [{name: shared, stesp: [{name: unit, run: make}]}]\n"
	third := h.push("main", "author", "wrong", files)
	if run := h.concluded(first, "conveyor / shared"); run.Conclusion != "failure" {
		t.Errorf("the first ended as %s", run.Conclusion)
	}
	if run := h.concluded(second, "conveyor / shared"); run.Conclusion != "success" {
		t.Errorf("the second ended as %s", run.Conclusion)
	}
	run := h.concluded(third, "conveyor / plan")
	if len(run.Annotations) != 1 || run.Annotations[0].Path != "ci/test.yml" || run.Annotations[0].StartLine != 1 {
		t.Errorf("the mistake is marked at %+v", run.Annotations)
	}
	h.quiet()
}
