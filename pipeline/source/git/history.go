package git

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// deep is where a repository's whole history is kept, when a plan has asked for it: apart from the mirror, which is shallow,
// so that others do not pay for it.
func (r *repository) deep() string { return strings.TrimSuffix(r.mirror, ".git") + ".deep.git" }

// FetchHistory brings all commits behind others here, and all tags. What is there costs no network.
func (s *Source) FetchHistory(ctx context.Context, repo pipeline.Repo, token source.Token, commits ...pipeline.Commit) error {
	r, err := s.repository(repo)
	if err != nil {
		return err
	}
	if err := r.deepening.enter(ctx); err != nil {
		return fmt.Errorf("source: wait for another history of %s: %w", repo.Slug(), err)
	}
	defer r.deepening.leave()
	if _, err := os.Stat(r.deep()); err != nil {
		fresh := r.deep() + ".new"
		if err := os.RemoveAll(fresh); err != nil {
			return fmt.Errorf("source: clear a half-made history: %w", err)
		}
		if _, err := s.git.run(ctx, call{args: []string{"init", "--quiet", "--bare", "--template=", "--initial-branch=none", "--end-of-options", fresh}}); err != nil {
			return fmt.Errorf("source: make room for a history: %w", err)
		}
		if err := os.Rename(fresh, r.deep()); err != nil {
			return fmt.Errorf("source: make room for a history: %w", err)
		}
	}
	var refs []string
	for i, c := range commits {
		if err := checkCommit(c); err != nil {
			return err
		}
		if _, err := s.git.run(ctx, call{dir: r.deep(), args: []string{"cat-file", "-e", string(c) + "^{commit}"}}); err != nil {
			refs = append(refs, fmt.Sprintf("+%s:refs/conveyor/tip%d", c, i))
		}
	}
	if len(refs) == 0 {
		return nil
	}
	secret := ""
	if token != nil {
		if secret, err = token(ctx); err != nil {
			return fmt.Errorf("source: ask for a token to fetch the history of %s: %w", repo.Slug(), err)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.opts.Timeout, fmt.Errorf("the server took longer than %s", s.opts.Timeout))
	defer cancel()
	c, address, err := s.remote(repo, r.deep(), secret)
	if err != nil {
		return err
	}
	removeStaleLocks(r.deep(), commits[0])
	for _, name := range []string{"tip0", "tip1"} {
		_ = os.Remove(filepath.Join(r.deep(), "refs", "conveyor", name+".lock")) // of a git that was killed
	}
	c.args = append([]string{"fetch", "--quiet", "--no-progress", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules",
		"--no-show-forced-updates", "--no-tags", "--end-of-options", address, "+refs/tags/*:refs/tags/*"}, refs...)
	if _, err := s.git.run(ctx, c); err != nil {
		return explain(repo, commits[0], err, secret, base64.StdEncoding.EncodeToString([]byte("x-access-token:"+secret)))
	}
	if packs, _ := filepath.Glob(filepath.Join(r.deep(), "objects", "pack", "*.pack")); len(packs) >= s.packsBeforeTidy {
		if _, err := s.git.run(ctx, call{dir: r.deep(), args: []string{"gc", "--quiet", "--force", "--prune=now"}}); err != nil {
			s.log.Warn("a history could not be put in order", "repository", r.id, "error", err)
		}
	}
	return nil
}

// placeHistory makes a folder a repository of Git whose HEAD is the commit: with all commits behind it, and the tags among
// them, and nothing else. It has no remote and no settings but those that it needs to be one.
func (s *Source) placeHistory(ctx context.Context, r *repository, commit pipeline.Commit, folder string) error {
	if err := r.deepening.enter(ctx); err != nil {
		return fmt.Errorf("source: wait for another history: %w", err)
	}
	defer r.deepening.leave()
	at := filepath.Join(folder, ".git")
	for _, dir := range []string{"objects/pack", "objects/info", "refs/heads", "refs/tags", "info"} {
		if err := os.MkdirAll(filepath.Join(at, dir), 0o700); err != nil {
			return err
		}
	}
	from := call{dir: r.deep(), limit: mostPaths, env: []string{"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + filepath.Join(r.mirror, "objects")}} // which has a merge that was made here
	ask := func(stdin string, args ...string) (string, error) {
		c := from
		c.stdin, c.args = []byte(stdin), args
		out, err := s.git.run(ctx, c)
		return string(out), err
	}
	tags, err := ask("", "for-each-ref", "--merged="+string(commit), "--format=%(objectname) %(refname)", "refs/tags/")
	if err != nil {
		return err
	}
	wanted := string(commit) + "\n"
	for line := range strings.Lines(tags) {
		id, _, _ := strings.Cut(line, " ")
		wanted += id + "\n"
	}
	if _, err := ask(wanted, "pack-objects", "--quiet", "--revs", filepath.Join(at, "objects", "pack", "pack")); err != nil {
		return err
	}
	packs, err := filepath.Glob(filepath.Join(at, "objects", "pack", "*.pack"))
	if err != nil || len(packs) != 1 {
		return fmt.Errorf("git made %d packs of a history: %w", len(packs), err)
	}
	if info, err := os.Stat(packs[0]); err != nil {
		return err
	} else if info.Size() > s.opts.MaxTree {
		return fmt.Errorf("%w: the history has %d bytes, more than the %d that are allowed", source.ErrUnusable, info.Size(), s.opts.MaxTree)
	}
	for name, text := range map[string]string{
		"HEAD": string(commit) + "\n", "packed-refs": tags,
		"config": "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = false\n",
	} {
		if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	_, err = s.git.run(ctx, call{dir: r.mirror, env: []string{"GIT_INDEX_FILE=" + filepath.Join(at, "index")}, args: []string{"read-tree", string(commit)}})
	return err
}
