package pipeline_test

import (
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestAStepsDigestIsOfAllThatGoesIntoIt(t *testing.T) {
	t.Parallel()
	step := func() pipeline.Step {
		return pipeline.Step{
			Name: "site", Run: "make", Env: map[string]string{"B": "2", "A": "1"}, Timeout: pipeline.Duration(time.Hour),
			Artifact: &pipeline.ArtifactSpec{Name: "site", Paths: []string{"dist/**"}},
		}
	}
	tree, image := strings.Repeat("a", 40), pipeline.Digest("sha256:"+strings.Repeat("b", 64))
	first := pipeline.StepDigest(step(), tree, image)
	if !first.Valid() || first != pipeline.StepDigest(step(), tree, image) {
		t.Fatalf("%q is not the same twice", first)
	}
	seen := map[pipeline.Digest]string{first: "nothing"}
	for name, change := range map[string]func(*pipeline.Step, *string, *pipeline.Digest){
		"the name":     func(s *pipeline.Step, _ *string, _ *pipeline.Digest) { s.Name = "page" },
		"the script":   func(s *pipeline.Step, _ *string, _ *pipeline.Digest) { s.Run += "\n" },
		"a variable":   func(s *pipeline.Step, _ *string, _ *pipeline.Digest) { s.Env["A"] = "2" },
		"the timeout":  func(s *pipeline.Step, _ *string, _ *pipeline.Digest) { s.Timeout-- },
		"the artifact": func(s *pipeline.Step, _ *string, _ *pipeline.Digest) { s.Artifact.Paths[0] = "out/**" },
		"the files":    func(_ *pipeline.Step, tree *string, _ *pipeline.Digest) { *tree = strings.Repeat("c", 40) },
		"the image":    func(_ *pipeline.Step, _ *string, image *pipeline.Digest) { *image = "" },
		"image as tree": func(_ *pipeline.Step, tree *string, image *pipeline.Digest) {
			*tree, *image = string(*image), pipeline.Digest(*tree)
		},
	} {
		s, in, at := step(), tree, image
		change(&s, &in, &at)
		d := pipeline.StepDigest(s, in, at)
		if other, twice := seen[d]; twice {
			t.Errorf("with %s changed, the digest is that of %s changed", name, other)
		}
		seen[d] = name
	}
}
