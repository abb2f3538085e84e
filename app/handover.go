package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
)

// handOver lays the artifacts of earlier steps into a step's workspace, verified, and says so in its log. The fault is the
// plan's or the commit's; an error is ours, and the step is tried again.
func (a *App) handOver(ctx context.Context, s pipeline.State, spec *pipeline.Step, dir string, log io.Writer) (fault string, err error) {
	if len(spec.Inputs) == 0 {
		return "", nil
	}
	inputs, missing := s.Handed(*spec)
	if missing != "" {
		return fmt.Sprintf("the step has the artifact %s as its input, and no step of this run has made it", missing), nil
	}
	spec.Inputs = inputs
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("the workspace could not be opened: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for i, in := range inputs {
		m, err := a.lay(ctx, root, fmt.Sprintf(".conveyor-input-%d", i), in)
		switch {
		case errors.Is(err, errPlace):
			return fmt.Sprintf("the artifact %s cannot be placed at %s: the commit has something there, or a link or a file on the way", in.Artifact, in.Path), nil
		case err != nil:
			return "", fmt.Errorf("the artifact %s could not be had: %w", in.Artifact, err)
		}
		fmt.Fprintf(log, "artifact %s is in %s: %d files, %s\n", in.Artifact, in.Path, len(m.Files), in.Digest)
	}
	return "", nil
}

// errPlace means that the commit leaves no place for an artifact.
var errPlace = errors.New("app: no place for an artifact")

// lay lays one artifact out below a name of its own, and moves it to its place. No link of the workspace is followed out of it.
func (a *App) lay(ctx context.Context, root *os.Root, temp string, in pipeline.InputArtifact) (m artifact.Manifest, err error) {
	if m, err = a.artifacts.Extract(ctx, in.Digest, root.Name()+"/"+temp, artifact.Limits{}); err != nil {
		return m, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.RemoveAll(temp))
		}
	}()
	uid, gid := -1, -1
	if o, ok := a.sandbox.(interface{ Owner() (int, int) }); ok {
		uid, gid = o.Owner()
	}
	if err := fs.WalkDir(root.FS(), temp, func(name string, _ fs.DirEntry, err error) error {
		return errors.Join(err, root.Lchown(name, uid, gid))
	}); err != nil {
		return m, err
	}
	if err := makeFolders(root, path.Dir(in.Path), uid, gid); err != nil {
		return m, fmt.Errorf("%w: %w", errPlace, err)
	}
	if _, err := root.Lstat(in.Path); err == nil {
		return m, errPlace
	}
	return m, root.Rename(temp, in.Path)
}

// makeFolders makes a folder and those above it that are not there, and gives them to the step.
func makeFolders(root *os.Root, dir string, uid, gid int) error {
	if dir == "." {
		return nil
	}
	if err := makeFolders(root, path.Dir(dir), uid, gid); err != nil {
		return err
	}
	switch err := root.Mkdir(dir, 0o755); {
	case errors.Is(err, fs.ErrExist):
		info, err := root.Lstat(dir)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is no folder", dir)
		}
		return err
	case err != nil:
		return err
	}
	return root.Lchown(dir, uid, gid)
}
