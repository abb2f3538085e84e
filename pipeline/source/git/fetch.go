package git

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// Fetch implements source.Source. ref may be empty: then only servers that serve commits by id will do.
//
// Every commit is fetched alone, without its history: the first contact with a big repository costs a snapshot and not
// a clone, and a commit far from everything known costs its difference and not all that lies between. One fetch per
// mirror runs at a time; who waits for the same commit finds it there and fetches nothing.
func (s *Source) Fetch(ctx context.Context, repo pipeline.Repo, ref string, commit pipeline.Commit, token source.Token) error {
	if err := checkCommit(commit); err != nil {
		return err
	}
	if ref != "" {
		if err := checkRef(ref); err != nil {
			return err
		}
	}
	r, err := s.repository(repo)
	if err != nil {
		return err
	}
	if ok, err := s.holds(ctx, r, commit); ok || err != nil {
		return err
	}
	r.want(commit, 1)
	defer r.want(commit, -1)
	if err := r.fetch.enter(ctx); err != nil {
		return fmt.Errorf("source: wait for another fetch of %s: %w", repo.Slug(), err)
	}
	defer r.fetch.leave()
	if ok, err := s.holds(ctx, r, commit); ok || err != nil {
		return err
	}
	if err := s.openMirror(ctx, r); err != nil {
		return err
	}
	secret := ""
	if token != nil {
		if secret, err = token(ctx); err != nil {
			return fmt.Errorf("source: ask for a token to fetch %s: %w", repo.Slug(), err)
		}
	}
	began := time.Now()
	if err := s.download(ctx, r, repo, ref, commit, secret); err != nil {
		return err
	}
	r.know(commit)
	s.log.Debug("commit fetched", "repo", repo.Slug(), "commit", string(commit), "took", time.Since(began))
	s.tidy(ctx, r)
	return nil
}

// reach is how far below a ref's tip a commit is looked for, where a server serves no commits by id.
const reach = "500"

// download brings one commit from the server and records it as held.
func (s *Source) download(ctx context.Context, r *repository, repo pipeline.Repo, ref string, commit pipeline.Commit, secret string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.opts.Timeout, fmt.Errorf("the server took longer than %s", s.opts.Timeout))
	defer cancel()
	base, address, err := s.remote(repo, r.mirror, secret)
	if err != nil {
		return err
	}
	get := func(depth string, refspecs ...string) error {
		c := base
		c.args = []string{"fetch", "--quiet", "--no-progress", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
			"--no-recurse-submodules", "--no-show-forced-updates", "--force", "--depth=" + depth,
			"--end-of-options", address}
		c.args = append(c.args, refspecs...)
		_, err := s.git.run(ctx, c)
		return err
	}
	fail := func(err error) error {
		return explain(repo, commit, err, secret, base64.StdEncoding.EncodeToString([]byte("x-access-token:"+secret)))
	}

	removeStaleLocks(r.mirror, commit)
	if others := r.waiting(commit); len(others) > 0 {
		refspecs := []string{string(commit) + ":" + keptRef(commit)}
		for _, other := range others {
			removeStaleLocks(r.mirror, other)
			refspecs = append(refspecs, string(other)+":"+keptRef(other))
		}
		if err := get("1", refspecs...); err == nil {
			for _, other := range others {
				if s.confirm(ctx, r, repo, other) == nil {
					r.know(other) // what is wrong with another is for its own fetch to say
				}
			}
			return s.confirm(ctx, r, repo, commit)
		} else if ctx.Err() != nil {
			return fail(err)
		}
		r.aloneNow(others) // one of them may be missing, and would fail each fetch that it is a part of
	}
	err = get("1", string(commit)+":"+keptRef(commit))
	if err == nil {
		return s.confirm(ctx, r, repo, commit)
	}
	if !lacks(err) || ref == "" {
		return fail(err)
	}
	// The server wants to be asked by name. What comes is checked: only the commit itself, at the tip or behind it, counts.
	for _, depth := range []string{"1", reach} {
		if err := get(depth, ref+":"+tipRef); err != nil {
			return fail(err)
		}
		found := call{dir: r.mirror, args: []string{"merge-base", "--is-ancestor", string(commit), tipRef}}
		if _, err := s.git.run(ctx, found); err == nil {
			keep := call{dir: r.mirror, args: []string{"update-ref", "--no-deref", "--end-of-options", keptRef(commit), string(commit)}}
			if _, err := s.git.run(ctx, keep); err != nil {
				return fmt.Errorf("source: keep %s of %s: %w", commit.Short(), repo.Slug(), err)
			}
			return s.confirm(ctx, r, repo, commit)
		} else if ctx.Err() != nil {
			return fail(err)
		}
	}
	return fmt.Errorf("%w: %s does not show %s under %s (anymore); it may have been removed by a forced push", source.ErrNoCommit, repo.Slug(), commit.Short(), ref)
}

// remote is a call of git that reaches a repository's server, with a token or without one, and nothing else.
func (s *Source) remote(repo pipeline.Repo, dir, secret string) (c call, address string, err error) {
	address, scheme, err := s.address(repo)
	if err != nil {
		return c, "", err
	}
	c = call{dir: dir, network: true, env: []string{"GIT_ALLOW_PROTOCOL=" + scheme}}
	if secret != "" {
		if strings.ContainsFunc(secret, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
			return c, "", fmt.Errorf("source: the token for %s holds characters that no token holds", repo.Slug())
		}
		header := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("x-access-token:"+secret))
		c.config = [][2]string{{"http." + address + ".extraHeader", header}}
	}
	return c, address, nil
}

// tipRef holds the last tip that was fetched by name.
const tipRef = "refs/tip"

// keptRef keeps a fetched commit reachable. It is written by git after the commit and all its files are there, so
// that it also says: complete.
func keptRef(commit pipeline.Commit) string { return "refs/conveyor/" + string(commit) }

// confirm asks whether what was fetched is a commit; the id of a tag or of a folder names none.
func (s *Source) confirm(ctx context.Context, r *repository, repo pipeline.Repo, commit pipeline.Commit) error {
	var found object
	err := r.objects.ask(ctx, func() (err error) {
		found, err = r.objects.info(string(commit))
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("source: look at %s of %s: %w", commit.Short(), repo.Slug(), err)
	case found.kind == "":
		return fmt.Errorf("source: look at %s of %s: it was fetched and is not there", commit.Short(), repo.Slug())
	case found.kind != "commit":
		return fmt.Errorf("%w: %s of %s is a %s", source.ErrNoCommit, commit.Short(), repo.Slug(), found.kind)
	}
	return nil
}

// holds reports whether the mirror has the commit with all its files.
func (s *Source) holds(ctx context.Context, r *repository, commit pipeline.Commit) (bool, error) {
	if err := s.recall(ctx, r); err != nil {
		return false, fmt.Errorf("source: look for a commit: %w", err)
	}
	r.state.Lock()
	defer r.state.Unlock()
	_, ok := r.known[commit]
	if ok {
		r.moment++
		r.known[commit] = r.moment
	}
	return ok, nil
}

// recall finds, once, what an earlier server has left in the mirror. From then on nobody but this server changes it, so
// that what is not known is not there. What cannot be read counts as not there, and is fetched again.
func (s *Source) recall(ctx context.Context, r *repository) error {
	if r.recalled.Load() {
		return nil
	}
	if err := r.memory.enter(ctx); err != nil {
		return err
	}
	defer r.memory.leave()
	if r.recalled.Load() {
		return nil
	}
	if _, err := os.Stat(r.mirror); err == nil {
		if err := s.recallAll(ctx, r); ctx.Err() != nil {
			return err
		} else if err != nil {
			s.log.Warn("a mirror could not be read; what it holds is fetched again", "repository", r.id, "error", err)
		}
	}
	r.recalled.Store(true)
	return nil
}

func (s *Source) recallAll(ctx context.Context, r *repository) error {
	list := call{dir: r.mirror, limit: 16 << 20, args: []string{"for-each-ref", "--format=%(refname)", "refs/conveyor/"}}
	out, err := s.git.run(ctx, list)
	if err != nil {
		return err
	}
	var gone bytes.Buffer // a ref to nothing would fail every fetch
	err = r.objects.ask(ctx, func() error {
		for line := range strings.Lines(string(out)) {
			commit := pipeline.Commit(strings.TrimPrefix(strings.TrimSpace(line), "refs/conveyor/"))
			if !commit.Valid() {
				continue
			}
			found, err := r.objects.info(string(commit))
			if err != nil {
				return err
			}
			if found.kind == "commit" {
				r.know(commit)
			} else {
				gone.WriteString("delete " + keptRef(commit) + "\n")
			}
		}
		return nil
	})
	if err != nil || gone.Len() == 0 {
		return err
	}
	_, err = s.git.run(ctx, call{dir: r.mirror, args: []string{"update-ref", "--stdin"}, stdin: gone.Bytes()})
	return err
}

func (r *repository) know(commit pipeline.Commit) {
	r.state.Lock()
	defer r.state.Unlock()
	r.moment++
	r.known[commit] = r.moment
}

// mostTogether is how many commits one fetch brings.
const mostTogether = 32

// want says how many more, or fewer, wait for a commit.
func (r *repository) want(commit pipeline.Commit, more int) {
	r.state.Lock()
	defer r.state.Unlock()
	if r.wanted == nil {
		r.wanted = map[pipeline.Commit]int{}
	}
	if r.wanted[commit] += more; r.wanted[commit] <= 0 {
		delete(r.wanted, commit)
		delete(r.alone, commit)
	}
}

// waiting are the commits that others wait for, and that may be fetched together with this one.
func (r *repository) waiting(commit pipeline.Commit) (others []pipeline.Commit) {
	r.state.Lock()
	defer r.state.Unlock()
	if r.alone[commit] {
		return nil
	}
	for other := range r.wanted {
		if _, held := r.known[other]; other != commit && !held && !r.alone[other] && len(others) < mostTogether-1 {
			others = append(others, other)
		}
	}
	return others
}

// aloneNow has each of the commits fetched by itself.
func (r *repository) aloneNow(commits []pipeline.Commit) {
	r.state.Lock()
	defer r.state.Unlock()
	if r.alone == nil {
		r.alone = map[pipeline.Commit]bool{}
	}
	for _, c := range commits {
		if r.wanted[c] > 0 {
			r.alone[c] = true
		}
	}
}

// openMirror creates the mirror when it is not there. The caller holds the repository's fetch gate.
func (s *Source) openMirror(ctx context.Context, r *repository) error {
	if _, err := os.Stat(r.mirror); err == nil {
		return nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("source: open a mirror: %w", err)
	}
	fresh := r.mirror + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("source: clear a half-made mirror: %w", err)
	}
	c := call{args: []string{"init", "--quiet", "--bare", "--template=", "--initial-branch=none", "--end-of-options", fresh}}
	if _, err := s.git.run(ctx, c); err != nil {
		return fmt.Errorf("source: create a mirror: %w", err)
	}
	if err := os.Rename(fresh, r.mirror); err != nil {
		return fmt.Errorf("source: create a mirror: %w", err)
	}
	return nil
}

// removeStaleLocks removes the lock files of a git that was killed. The fetch gate and the folder's lock together mean
// that nobody else writes to this mirror.
func removeStaleLocks(mirror string, commit pipeline.Commit) {
	for _, name := range []string{"shallow.lock", "packed-refs.lock", tipRef + ".lock", keptRef(commit) + ".lock", "gc.pid.lock", "gc.pid"} {
		_ = os.Remove(filepath.Join(mirror, name))
	}
	old, _ := filepath.Glob(filepath.Join(mirror, "objects", "pack", "tmp_*"))
	for _, name := range old {
		_ = os.Remove(name)
	}
}
