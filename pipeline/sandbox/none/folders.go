package none

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// show makes links to the folders that a step is shown, and returns how to take them away. Where something is already, that
// is an error: the commit's own files are not hidden.
func show(spec sandbox.Spec, home string) (hide func(), err error) {
	var made []func() error
	hide = func() {
		for _, remove := range made {
			_ = remove() // the step may have removed it itself
		}
	}
	for _, f := range spec.Folders {
		below, inHome := strings.CutPrefix(f.Target, "~/")
		base := spec.Workspace
		if inHome {
			base = home
		}
		root, err := os.OpenRoot(base)
		if err != nil {
			return hide, err
		}
		made = append(made, root.Close)
		if err := errors.Join(root.MkdirAll(filepath.Dir(below), 0o755), root.Symlink(f.Source, below)); err != nil {
			return hide, fmt.Errorf("show the folder %s: %w", f.Target, err)
		}
		made = append([]func() error{func() error { return root.Remove(below) }}, made...)
	}
	return hide, nil
}
