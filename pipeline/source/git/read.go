package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// mostPaths bounds a list of paths, in bytes: some 700,000 files.
const mostPaths = 64 << 20

// File implements source.Source. A link or a submodule is not a file: a link would let a commit choose what is read.
func (s *Source) File(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit, path string, limit int64) ([]byte, error) {
	if err := errors.Join(checkPath(path), checkCommit(commit)); err != nil {
		return nil, err
	}
	r, err := s.repository(repo)
	if err != nil {
		return nil, err
	}
	if ok, err := s.holds(ctx, r, commit); err != nil {
		return nil, err
	} else if !ok {
		return nil, fmt.Errorf("%w: %s of %s was not fetched", source.ErrNoCommit, commit.Short(), repo.Slug())
	}
	var data []byte
	var refusal error // is an answer, too: the reader stays open
	err = r.objects.ask(ctx, func() error {
		mode, id, err := r.objects.find(commit, path)
		if err != nil {
			return err
		}
		switch mode {
		case "":
			refusal = fmt.Errorf("%w: %s is not in %s", source.ErrNoFile, path, commit.Short())
		case "120000":
			refusal = fmt.Errorf("%w: %s is a symbolic link in %s; put the file itself there", source.ErrNoFile, path, commit.Short())
		case "160000":
			refusal = fmt.Errorf("%w: %s is a submodule in %s", source.ErrNoFile, path, commit.Short())
		case "40000":
			refusal = fmt.Errorf("%w: %s is a folder in %s", source.ErrNoFile, path, commit.Short())
		}
		if refusal != nil {
			return nil
		}
		blob, err := r.objects.info(id)
		switch {
		case err != nil:
			return err
		case blob.kind == "blob" && blob.size > limit:
			refusal = fmt.Errorf("%w: %s has %d bytes in %s, more than %d", source.ErrTooLarge, path, blob.size, commit.Short(), limit)
			return nil
		}
		data, err = r.objects.wanted("blob", id, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("source: read %s of %s: %w", path, repo.Slug(), err)
	}
	return data, refusal
}

// Folder lists what a folder of a fetched commit holds besides folders: files, links and submodules, by name, in Git's own
// order. A folder that is not there holds nothing.
func (s *Source) Folder(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit, path string) (names []string, err error) {
	if err := errors.Join(checkPath(path), checkCommit(commit)); err != nil {
		return nil, err
	}
	r, err := s.repository(repo)
	if err != nil {
		return nil, err
	}
	if ok, err := s.holds(ctx, r, commit); err != nil {
		return nil, err
	} else if !ok {
		return nil, fmt.Errorf("%w: %s of %s was not fetched", source.ErrNoCommit, commit.Short(), repo.Slug())
	}
	err = r.objects.ask(ctx, func() error {
		mode, id, err := r.objects.find(commit, path)
		if err != nil || mode != "40000" {
			return err
		}
		tree, err := r.objects.wanted("tree", id, mostPaths)
		if err != nil {
			return err
		}
		names, err = files(tree)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("source: list %s of %s: %w", path, repo.Slug(), err)
	}
	return names, nil
}

// Tree is the id of a fetched commit's tree. Commits with the same tree hold the same files, whatever their history.
func (s *Source) Tree(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit) (tree string, err error) {
	if err := checkCommit(commit); err != nil {
		return "", err
	}
	r, err := s.repository(repo)
	if err != nil {
		return "", err
	}
	if ok, err := s.holds(ctx, r, commit); err != nil {
		return "", err
	} else if !ok {
		return "", fmt.Errorf("%w: %s of %s was not fetched", source.ErrNoCommit, commit.Short(), repo.Slug())
	}
	err = r.objects.ask(ctx, func() error {
		tree, err = r.objects.treeOf(commit)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("source: read %s of %s: %w", commit.Short(), repo.Slug(), err)
	}
	return tree, nil
}

// Changed lists the paths that differ between two fetched commits, by their files alone and not by history. Renames
// show as both paths. A pull request compared with its base's head also shows what the base got in the meantime:
// more than was changed, never less.
func (s *Source) Changed(ctx context.Context, repo pipeline.Repo, from, to pipeline.Commit) ([]string, error) {
	out, err := s.ask(ctx, repo, []pipeline.Commit{from, to}, call{limit: mostPaths,
		args: []string{"diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--end-of-options", string(from), string(to), "--"}})
	if err != nil {
		return nil, err
	}
	return paths(out), nil
}

// All lists the paths of a fetched commit's files, links and submodules.
func (s *Source) All(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit) ([]string, error) {
	out, err := s.ask(ctx, repo, []pipeline.Commit{commit}, call{limit: mostPaths,
		args: []string{"ls-tree", "-r", "-z", "--name-only", "--full-tree", "--end-of-options", string(commit)}})
	if err != nil {
		return nil, err
	}
	return paths(out), nil
}

// Subject is the first line of a fetched commit's message, in one line of printable text, at most 200 characters.
func (s *Source) Subject(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit) (string, error) {
	out, err := s.ask(ctx, repo, []pipeline.Commit{commit}, call{limit: 1 << 20,
		args: []string{"log", "-1", "--no-show-signature", "--encoding=UTF-8", "--format=%s", "--end-of-options", string(commit), "--"}})
	if err != nil {
		return "", err
	}
	return oneLine(string(out), 200), nil
}

// Paths lists a fetched commit's files once and returns a function that knows them. It knows files, links and
// submodules, not folders, and it does no more reading.
func (s *Source) Paths(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit) (func(string) bool, error) {
	all, err := s.All(ctx, repo, commit)
	if err != nil {
		return nil, err
	}
	there := map[string]struct{}{}
	for _, p := range all {
		there[p] = struct{}{}
	}
	return func(p string) bool { _, ok := there[p]; return ok }, nil
}

// Exists reports whether a fetched commit has a file, link, submodule or folder of that path.
func (s *Source) Exists(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit, path string) (bool, error) {
	if err := checkPath(path); err != nil {
		return false, err
	}
	out, err := s.ask(ctx, repo, []pipeline.Commit{commit}, call{args: []string{"ls-tree", "-z", "--full-tree", "--end-of-options", string(commit), path}})
	return len(out) > 0, err
}

// ask runs a reading command on a repository's mirror. Should it fail because one of the commits is not there, the
// error says so.
func (s *Source) ask(ctx context.Context, repo pipeline.Repo, commits []pipeline.Commit, c call) ([]byte, error) {
	for _, commit := range commits {
		if err := checkCommit(commit); err != nil {
			return nil, err
		}
	}
	r, err := s.repository(repo)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(r.mirror); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: nothing of %s was fetched", source.ErrNoCommit, repo.Slug())
	}
	c.dir = r.mirror
	out, err := s.git.run(ctx, c)
	if err == nil {
		return out, nil
	}
	for _, commit := range commits {
		if ok, _ := s.holds(ctx, r, commit); !ok && ctx.Err() == nil {
			return nil, fmt.Errorf("%w: %s of %s was not fetched", source.ErrNoCommit, commit.Short(), repo.Slug())
		}
	}
	return nil, fmt.Errorf("source: read %s: %w", repo.Slug(), err)
}

// paths splits a list that git ended with zero bytes.
func paths(out []byte) []string {
	var list []string
	for p := range bytes.SplitSeq(out, []byte{0}) {
		if len(p) > 0 {
			list = append(list, string(p))
		}
	}
	return list
}
