package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
)

// maxKeptSARIF is how many files of a step are passed on.
const maxKeptSARIF = 20

// keepSARIF stores an analysis that GitHub is to get once the step is over. GitHub may be down by then, and the workspace is
// gone: so it is kept by its digest, and the run owes it. Code from outside does not speak in the repository's name.
func (a *App) keepSARIF(ctx context.Context, s pipeline.State, dir, name string, r *reading) {
	kind := s.Trigger.Kind
	if !a.config.CodeScanning || s.Trust < pipeline.Writer || kind != pipeline.Push && kind != pipeline.PullRequest || len(r.tested.SARIF) == maxKeptSARIF {
		return
	}
	exactly := strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`, "{", `\{`, "}", `\}`, `\`, `\\`).Replace(name)
	m, err := a.artifacts.Put(ctx, dir, []string{exactly}, artifact.Limits{Files: 1, Bytes: maxSARIF, File: maxSARIF})
	if err != nil || len(m.Files) != 1 {
		r.unread("sarif", name, errors.Join(errors.New("it is not passed on to GitHub"), err))
		return
	}
	r.tested.SARIF = append(r.tested.SARIF, m.Digest())
}

// upload passes a step's analyses on to GitHub's code scanning. It may be repeated: GitHub takes the last one of a commit, tool
// and category.
func (a *App) upload(ctx context.Context, w *runWork, e pipeline.Upload) error {
	s := w.Latest()
	st, _ := find(s, e.Step)
	if st.Phase != pipeline.Done || st.Attempt != e.Attempt || st.Uploaded || st.Result.Tested == nil {
		return nil
	}
	ref := s.Trigger.Ref
	if s.Trigger.Kind == pipeline.Push && !strings.HasPrefix(ref, "refs/") {
		ref = "refs/heads/" + s.Trigger.Branch
	}
	told := pipeline.Uploaded{Step: e.Step, Attempt: e.Attempt, At: a.now().UTC()}
	in := a.github.Installation(s.Trigger.Repo.Installation)
	ctx = github.As(ctx, github.Progress)
	for _, digest := range st.Result.Tested.SARIF {
		data, err := a.kept(ctx, digest)
		if err == nil {
			err = in.UploadSARIF(ctx, s.Trigger.Repo, s.Trigger.Commit, ref, data)
		}
		switch {
		case err == nil:
		case a.useless(err) || a.givenUp(s, err) || errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrCorrupt) || errors.Is(err, github.ErrTooLarge):
			a.log.Warn("GitHub will not show this analysis", "stream", w.Stream, "step", e.Step, "err", err)
			told.GivenUp = err.Error()
		default:
			return err
		}
	}
	_, err := w.Append(ctx, told)
	return err
}

func (a *App) kept(ctx context.Context, digest pipeline.Digest) ([]byte, error) {
	m, err := a.artifacts.Manifest(ctx, digest)
	if err != nil {
		return nil, err
	}
	if len(m.Files) != 1 {
		return nil, fmt.Errorf("%w: %s is not one analysis", artifact.ErrCorrupt, digest)
	}
	f, err := a.artifacts.Open(ctx, m.Files[0].Digest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, maxSARIF+1))
}
