package pods

import (
	"archive/tar"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/conveyor-ci/conveyor/test/images"
)

// Program is a layer with conveyor-pod, as a server's image has it. It is built once, as it is released: with the race
// detector it would not fit into the limits of what it holds.
func Program(t images.TB) v1.Layer {
	t.Helper()
	text, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return images.Layer(t, images.Entry{Name: "usr/"}, images.Entry{Name: "usr/local/"}, images.Entry{Name: "usr/local/bin/"}, images.Entry{
		Name: "usr/local/bin/conveyor-pod", Text: string(text), Header: func(h *tar.Header) { h.Mode = 0o755 },
	})
}

var program = sync.OnceValues(func() (text []byte, err error) {
	dir, err := os.MkdirTemp("", "conveyor-pod-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	to := filepath.Join(dir, "conveyor-pod")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", to, "github.com/conveyor-ci/conveyor/cmd/pod")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build what runs in pods: %w: %s", err, said)
	}
	return os.ReadFile(to)
})
