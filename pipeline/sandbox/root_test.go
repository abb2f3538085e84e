package sandbox_test

import (
	"io"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

func TestAnImageSetsWhereProgramsAreAndNotWhereTheBoxIs(t *testing.T) {
	t.Parallel()
	s := sandbox.Spec{Root: &sandbox.Root{Env: []string{"PATH=/image", "LANG=el", "HOME=/root", "CI=", "LD_LIBRARY_PATH=/lib/x", "A=image", "B=image"}}, Env: []string{"B=step"}}
	if got := strings.Join(s.Environ("/host", "/home", "/tmp", "/run/secrets", "/workspace"), " "); got != "PATH=/image HOME=/home TMPDIR=/tmp LANG=el CI=true LD_LIBRARY_PATH=/lib/x A=image B=step" {
		t.Error(got)
	}
	s.Root.Env = []string{"PATH="}
	if got := s.Environ("/host", "/home", "/tmp", "/run/secrets", "/workspace")[0]; strings.Contains(got, "host") || !strings.Contains(got, ":/usr/bin:") {
		t.Errorf("an image without a PATH has %s", got)
	}
}

func TestALayerIsNamedByAnAbsolutePath(t *testing.T) {
	t.Parallel()
	s := sandbox.Spec{ID: "x", Workspace: "/w", Output: io.Discard, Root: &sandbox.Root{Name: "node:20", Layers: []string{"/a", "b"}}}
	if err := s.Check(); err == nil || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("%v", err)
	}
	s.Root.Layers = []string{"/a"}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}
