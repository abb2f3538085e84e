package static_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy/target"
	"github.com/conveyor-ci/conveyor/deploy/target/static"
	"github.com/conveyor-ci/conveyor/deploy/target/targettest"
)

// The variables that make this test's program a server that kills itself at one point of its work.
const (
	crashBase = "STATIC_TEST_CRASH_BASE"
	crashAt   = "STATIC_TEST_CRASH_AT"
	crashDo   = "STATIC_TEST_CRASH_DO"
)

func TestMain(m *testing.M) {
	if base := os.Getenv(crashBase); base != "" {
		n, _ := strconv.Atoi(os.Getenv(crashAt))
		os.Exit(victim(base, n, os.Getenv(crashDo)))
	}
	os.Exit(m.Run())
}

// victim does a piece of work and is killed at its n-th point. It returns 0 when there is no such point.
func victim(base string, n int, do string) int {
	s, err := static.New(static.Options{Base: base, Keep: 2})
	if err != nil {
		return 1
	}
	s.At(func(string) {
		if n--; n == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until the signal arrives
		}
	})
	if err := work(context.Background(), s, place(base), do, 5); err != nil {
		os.Stderr.WriteString(err.Error())
		return 1
	}
	return 0
}

func place(base string) targettest.Place {
	return targettest.Place{Settings: map[string]string{"root": "shop/site"}}
}

// work deploys version 4, puts version 3 back, or removes the place.
func work(ctx context.Context, s *static.Target, p targettest.Place, do string, token int64) error {
	d := p.Deployment("staging", 4, token)
	switch do {
	case "deploy":
		return s.Deploy(ctx, d, targettest.Site(4).Files)
	case "rollback":
		back := p.Deployment("staging", 3, token)
		back.ID += "-back"
		return s.Deploy(ctx, back, targettest.Site(3).Files)
	}
	return s.Remove(ctx, d)
}

// TestACrashAtEveryPointIsFinishedByTheNextServer kills a server with SIGKILL at each point of its work in turn. After
// each crash the place serves a whole release, the old or the new; the same work done again finishes it and leaves
// nothing behind.
func TestACrashAtEveryPointIsFinishedByTheNextServer(t *testing.T) {
	t.Parallel()
	for do, want := range map[string]struct{ points, before, after int }{
		"deploy":   {points: 13, before: 3, after: 4},
		"rollback": {points: 7, before: 4, after: 3},
		"remove":   {points: 5, before: 3, after: 0},
	} {
		t.Run(do, func(t *testing.T) {
			t.Parallel()
			n := 1
			for ; crash(t, do, n, want.before, want.after); n++ {
			}
			if n-1 < want.points {
				t.Fatalf("the work was killed at %d points, want at least %d", n-1, want.points)
			}
		})
	}
}

// crash reports whether there was an n-th point to be killed at.
func crash(t *testing.T, do string, n, before, after int) bool {
	t.Helper()
	base := t.TempDir()
	p := place(base)
	s := open(t, static.Options{Base: base, Keep: 2})
	for v := 1; v <= before; v++ {
		if err := s.Deploy(t.Context(), p.Deployment("staging", v, int64(v)), targettest.Site(v).Files); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashBase+"="+base, crashAt+"="+strconv.Itoa(n), crashDo+"="+do)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("%s, point %d: the server failed by itself: %v: %s", do, n, err, out)
	}
	root := folder(base, "staging")
	if v := whole(t, root); v != before && v != after {
		t.Fatalf("%s, killed at point %d: version %d is served, want %d or %d", do, n, v, before, after)
	}
	if err := work(t.Context(), s, p, do, 6); err != nil { // the next server has a higher token
		t.Fatalf("%s, killed at point %d: not finished: %v", do, n, err)
	}
	if v := whole(t, root); v != after {
		t.Fatalf("%s, killed at point %d, then finished: version %d is served, want %d", do, n, v, after)
	}
	tidy(t, root, after)
	if err := work(t.Context(), s, p, do, 5); !errors.Is(err, target.ErrFenced) {
		t.Fatalf("%s, killed at point %d: the dead server's token is taken: %v", do, n, err)
	}
	return true
}

// whole is the version that is served, 0 when current is not there at all. Anything between fails the test.
func whole(t *testing.T, root string) int {
	t.Helper()
	if _, err := os.Lstat(filepath.Join(root, "current")); errors.Is(err, os.ErrNotExist) {
		return 0
	}
	for v := 1; v <= 4; v++ {
		site := targettest.Site(v)
		if serves(root, "index.html") != site["index.html"] {
			continue
		}
		for path, content := range site {
			if got := serves(root, path); got != content {
				t.Fatalf("version %d is served with %s = %q", v, path, got)
			}
		}
		if mark := serves(root, ".well-known/release"); !strings.Contains(mark, string(site.Digest())) {
			t.Fatalf("version %d says of itself %q", v, mark)
		}
		return v
	}
	t.Fatal("current is there, but serves no whole release")
	return -1
}

// tidy fails when anything but whole releases and our own files is in the place.
func tidy(t *testing.T, root string, served int) {
	t.Helper()
	releases, err := os.ReadDir(filepath.Join(root, "releases"))
	if err != nil && !(served == 0 && errors.Is(err, os.ErrNotExist)) {
		t.Fatal(err)
	}
	if len(releases) > 2 {
		t.Fatalf("%d releases are kept, want 2: %v", len(releases), releases)
	}
	for _, r := range releases {
		if strings.Contains(r.Name(), "partial") {
			t.Fatalf("%s was left behind", r.Name())
		}
	}
	own, err := os.ReadDir(filepath.Join(root, ".cd"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range own {
		if f.Name() != "token" && f.Name() != "journal.jsonl" {
			t.Fatalf(".cd/%s was left behind", f.Name())
		}
	}
}
