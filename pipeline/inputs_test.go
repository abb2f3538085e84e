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
			Name: "site", Image: "node:20", Services: []pipeline.Service{{Name: "db", Image: "postgres:17"}}, Run: "make", Env: map[string]string{"B": "2", "A": "1"}, Timeout: pipeline.Duration(time.Hour),
			Artifact: &pipeline.ArtifactSpec{Name: "site", Paths: []string{"dist/**"}},
		}
	}
	sum := func(letter string) pipeline.Digest { return pipeline.Digest("sha256:" + strings.Repeat(letter, 64)) }
	tree, images := strings.Repeat("a", 40), func() map[string]pipeline.Digest {
		return map[string]pipeline.Digest{"node:20": sum("b"), "postgres:17": sum("c"), "of another step": sum("d")}
	}
	first := pipeline.StepDigest(step(), tree, images())
	if !first.Valid() || first != pipeline.StepDigest(step(), tree, images()) {
		t.Fatalf("%q is not the same twice", first)
	}
	seen := map[pipeline.Digest]string{first: "nothing"}
	for name, change := range map[string]func(*pipeline.Step, *string, map[string]pipeline.Digest){
		"the name":     func(s *pipeline.Step, _ *string, _ map[string]pipeline.Digest) { s.Name = "page" },
		"the script":   func(s *pipeline.Step, _ *string, _ map[string]pipeline.Digest) { s.Run += "\n" },
		"a variable":   func(s *pipeline.Step, _ *string, _ map[string]pipeline.Digest) { s.Env["A"] = "2" },
		"the timeout":  func(s *pipeline.Step, _ *string, _ map[string]pipeline.Digest) { s.Timeout-- },
		"the artifact": func(s *pipeline.Step, _ *string, _ map[string]pipeline.Digest) { s.Artifact.Paths[0] = "out/**" },
		"the files":    func(_ *pipeline.Step, tree *string, _ map[string]pipeline.Digest) { *tree = strings.Repeat("c", 40) },
		"the image":    func(_ *pipeline.Step, _ *string, images map[string]pipeline.Digest) { delete(images, "node:20") },
		"image as tree": func(_ *pipeline.Step, tree *string, images map[string]pipeline.Digest) {
			*tree, images["node:20"] = string(images["node:20"]), pipeline.Digest(*tree)
		},
		"a service":         func(s *pipeline.Step, _ *string, _ map[string]pipeline.Digest) { s.Services[0].Name = "pg" },
		"no service":        func(s *pipeline.Step, _ *string, _ map[string]pipeline.Digest) { s.Services = nil },
		"a service's image": func(_ *pipeline.Step, _ *string, images map[string]pipeline.Digest) { images["postgres:17"] = sum("e") },
	} {
		s, in, at := step(), tree, images()
		change(&s, &in, at)
		d := pipeline.StepDigest(s, in, at)
		if other, twice := seen[d]; twice {
			t.Errorf("with %s changed, the digest is that of %s changed", name, other)
		}
		seen[d] = name
	}
	others := images()
	others["of another step"] = sum("f")
	if pipeline.StepDigest(step(), tree, others) != first {
		t.Error("an image of another step is in the digest")
	}
}
