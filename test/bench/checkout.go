package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source/git"
)

// measureCheckout asks what it costs to bring a commit's files to a step: of a repository that is known, and at the first
// contact. By hand, and in most other systems, it is always the same: an empty repository, one commit fetched without its
// history, and all files checked out. Both fetch from the same server over HTTP, to the same disk.
func measureCheckout(ctx context.Context, s *session) (_ []row, err error) {
	dir, err := os.MkdirTemp("", "conveyor-bench-checkout-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	m := &checkouts{dir: dir, repo: pipeline.Repo{ID: 1, Owner: "bench", Name: "big", Branch: "main"}}
	rounds := pick(s, max(5, s.rounds), 2)
	s.say("writing a repository of %d files and %d commits", bigFiles, bigCommits+rounds+2)
	if m.commits, err = m.write(ctx, bigCommits+rounds+2); err != nil {
		return nil, err
	}
	served, err := m.serve(ctx)
	if err != nil {
		return nil, err
	}
	defer served.Close()
	m.url = served.URL

	m.known, err = m.open("known")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.known.Close()) }()
	at := bigCommits
	if _, err := m.ours(ctx, m.known, m.commits[at]); err != nil {
		return nil, err
	}
	var next, first, hand []float64
	next1 := func(ctx context.Context) error {
		at++
		took, err := m.ours(ctx, m.known, m.commits[at])
		next = append(next, took)
		return err
	}
	first1 := func(ctx context.Context) (err error) {
		fresh, err := m.open("fresh")
		if err != nil {
			return err
		}
		took, err := m.ours(ctx, fresh, m.commits[at])
		first = append(first, took)
		return errors.Join(err, fresh.Close(), os.RemoveAll(filepath.Join(dir, "fresh")))
	}
	hand1 := func(ctx context.Context) error {
		took, err := m.byHand(ctx, m.commits[at])
		hand = append(hand, took)
		return err
	}
	if err := errors.Join(next1(ctx), first1(ctx), hand1(ctx)); err != nil { // the first of each finds nothing in any cache
		return nil, err
	}
	next, first, hand = nil, nil, nil
	if err := s.play(ctx, 60*time.Second, rounds, next1, first1, hand1); err != nil {
		return nil, err
	}
	const reference = "git init, fetch --depth 1, checkout"
	return []row{
		lower("checkout of the next commit of a known repository", "ms", median(next), median(hand), reference).aim(0.15),
		lower("first checkout of a repository of 13,000 files", "ms", median(first), median(hand), reference).aim(1.1),
	}, nil
}

const (
	bigFiles   = 13_000
	bigCommits = 300
)

// checkouts is a big repository on a server of its own.
type checkouts struct {
	dir, url string
	repo     pipeline.Repo
	commits  []pipeline.Commit
	known    *git.Source
	n        int
}

// write makes the repository, always the same: each commit changes some ten files of the one before.
// https://git-scm.com/docs/git-fast-import
func (m *checkouts) write(ctx context.Context, commits int) (all []pipeline.Commit, err error) {
	bare := filepath.Join(m.dir, "served", m.repo.Slug()+".git")
	if err := m.git(ctx, "", "init", "--quiet", "--bare", "--initial-branch=main", bare); err != nil {
		return nil, err
	}
	marks := filepath.Join(m.dir, "marks")
	cmd := exec.CommandContext(ctx, "git", "-C", bare, "fast-import", "--quiet", "--done", "--export-marks="+marks)
	cmd.Env = m.environ()
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(in, 1<<20)
	random := rand.New(rand.NewPCG(13, 300))
	file := func(n int) {
		fmt.Fprintf(w, "M 100644 inline src/d%d/e%d/file%d.txt\n", n%40, n%400, n)
		text := prose(random, 200+random.IntN(6000))
		fmt.Fprintf(w, "data %d\n%s\n", len(text), text)
	}
	for c := 1; c <= commits; c++ {
		fmt.Fprintf(w, "commit refs/heads/main\nmark :%d\ncommitter B <b@example.com> %d +0000\ndata 6\nchange\n", c, 1700000000+c)
		if c > 1 {
			fmt.Fprintf(w, "from :%d\n", c-1)
		}
		for i := range bigFiles {
			if c > 1 && i >= 10 {
				break
			}
			if c > 1 {
				i = random.IntN(bigFiles)
			}
			file(i)
		}
	}
	fmt.Fprintln(w, "done")
	if err := errors.Join(w.Flush(), in.Close(), cmd.Wait()); err != nil {
		return nil, fmt.Errorf("git fast-import: %w: %s", err, said.String())
	}
	text, err := os.ReadFile(marks)
	if err != nil {
		return nil, err
	}
	all = make([]pipeline.Commit, commits)
	for line := range strings.Lines(string(text)) {
		var n int
		var id string
		if _, err := fmt.Sscanf(line, ":%d %s", &n, &id); err != nil {
			return nil, fmt.Errorf("read the marks of git fast-import: %w", err)
		}
		all[n-1] = pipeline.Commit(id)
	}
	return all, nil
}

// prose is text that compresses about as well as code does.
func prose(random *rand.Rand, size int) string {
	var b strings.Builder
	for b.Len() < size {
		fmt.Fprintf(&b, "func name%d(value int) (result%d, error) { return call%d(value, %d) }\n", random.IntN(1000), random.IntN(50), random.IntN(1000), random.IntN(1<<30))
	}
	return b.String()
}

// serve serves it by git's own HTTP server, as the adapter fetches by no other protocol.
func (m *checkouts) serve(ctx context.Context) (*httptest.Server, error) {
	path, err := exec.CommandContext(ctx, "git", "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("ask git where its programs are: %w", err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"), Root: "/", Stderr: io.Discard,
		Env: append(m.environ(), "GIT_PROJECT_ROOT="+filepath.Join(m.dir, "served"), "GIT_HTTP_EXPORT_ALL=1"),
	}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := *backend
		if v := r.Header.Get("Git-Protocol"); v != "" {
			b.Env = append(b.Env[:len(b.Env):len(b.Env)], "GIT_PROTOCOL="+v)
		}
		b.ServeHTTP(w, r)
	})), nil
}

func (m *checkouts) open(name string) (*git.Source, error) {
	return git.New(git.Options{Dir: filepath.Join(m.dir, name), URL: func(r pipeline.Repo) string { return m.url + "/" + r.Slug() + ".git" }, Owner: git.Owner{UID: -1, GID: -1}})
}

// ours is what a server does for the first step of a run.
func (m *checkouts) ours(ctx context.Context, s *git.Source, commit pipeline.Commit) (took float64, err error) {
	m.n++
	began := time.Now()
	if err := s.Fetch(ctx, m.repo, "refs/heads/main", commit, nil); err != nil {
		return 0, err
	}
	w, err := s.Workspace(ctx, m.repo, commit, fmt.Sprintf("bench-%d", m.n))
	if err != nil {
		return 0, err
	}
	took = milliseconds(time.Since(began))
	if _, err := os.Stat(filepath.Join(w.Dir(), "src/d0/e0/file0.txt")); err != nil {
		return 0, errors.Join(err, w.Close())
	}
	return took, w.Close()
}

// byHand does it without a mirror.
func (m *checkouts) byHand(ctx context.Context, commit pipeline.Commit) (took float64, err error) {
	at := filepath.Join(m.dir, "by-hand")
	defer func() { err = errors.Join(err, os.RemoveAll(at)) }()
	began := time.Now()
	for _, args := range [][]string{
		{"init", "--quiet", at}, {"fetch", "--quiet", "--no-tags", "--depth=1", m.url + "/" + m.repo.Slug() + ".git", string(commit)}, {"checkout", "--quiet", "--detach", string(commit)},
	} {
		in := at
		if args[0] == "init" {
			in = ""
		}
		if err := m.git(ctx, in, args...); err != nil {
			return 0, err
		}
	}
	return milliseconds(time.Since(began)), nil
}

func (m *checkouts) git(ctx context.Context, in string, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env, cmd.Dir = m.environ(), in
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, out)
	}
	return nil
}

func (m *checkouts) environ() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C"}
}
