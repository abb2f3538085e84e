package static_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/deploy/target/static"
	"github.com/conveyor-ci/conveyor/deploy/target/targettest"
	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestEveryoneMayReadWhateverTheUmask(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	base := filepath.Join(t.TempDir(), "sites")
	s := open(t, static.Options{Base: base})
	d := at("staging", "shop/site")
	err := s.Deploy(t.Context(), d, func(ctx context.Context, digest pipeline.Digest, dir string) error {
		if err := targettest.Site(1).Files(ctx, digest, dir); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "tool"), nil, 0o4700)
	})
	if err != nil {
		t.Fatal(err)
	}
	served, err := filepath.EvalSymlinks(filepath.Join(base, "shop/site/current"))
	if err != nil {
		t.Fatal(err)
	}
	for at := served; at != filepath.Dir(base); at = filepath.Dir(at) {
		mode(t, at, fs.ModeDir|0o755)
	}
	mode(t, served+"/assets", fs.ModeDir|0o755)
	mode(t, served+"/index.html", 0o644)
	mode(t, served+"/tool", 0o755)
	mode(t, served+"/.well-known", fs.ModeDir|0o755)
	mode(t, served+"/.well-known/release", 0o644)
	mode(t, filepath.Join(base, "shop/site/.cd"), fs.ModeDir|0o700)
}

func mode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	st, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode() != want {
		t.Errorf("%s has mode %v, want %v", path, st.Mode(), want)
	}
}

func TestAnArtifactThatDoesNotBelongOnAWebServerIsRefused(t *testing.T) {
	t.Parallel()
	for name, lay := range map[string]func(dir string) error{
		"its own mark":       func(dir string) error { return write(dir, ".well-known/release", "{}") },
		"a mark as a folder": func(dir string) error { return os.MkdirAll(dir+"/.well-known/release", 0o755) },
		"a linked mark":      func(dir string) error { return links(dir, ".well-known/release", "../index.html") },
		"a linked folder":    func(dir string) error { return links(dir, ".well-known", "assets") },
		"a file as folder":   func(dir string) error { return write(dir, ".well-known", "") },
		"a link out":         func(dir string) error { return links(dir, "passwd", "/etc/passwd") },
		"a link up":          func(dir string) error { return links(dir, "up", "../../..") },
		"a winding link": func(dir string) error {
			return errors.Join(os.MkdirAll(dir+"/a/b/c", 0o755), links(dir, "a/b/c/top", "../../.."), links(dir, "a/b/c/out", "top/../.."))
		},
		"a pipe": func(dir string) error { return syscall.Mkfifo(dir+"/pipe", 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := t.TempDir()
			s := open(t, static.Options{Base: base})
			err := s.Deploy(t.Context(), at("staging", "shop"), func(ctx context.Context, digest pipeline.Digest, dir string) error {
				if err := targettest.Site(1).Files(ctx, digest, dir); err != nil {
					return err
				}
				return lay(dir)
			})
			refused(t, err, "artifact")
			if _, err := os.Lstat(filepath.Join(base, "shop", "current")); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("it is served all the same: %v", err)
			}
			if left, _ := os.ReadDir(filepath.Join(base, "shop", "releases")); len(left) != 0 {
				t.Fatalf("it left %v behind", left)
			}
		})
	}
}

func write(dir, path, content string) error {
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, path), []byte(content), 0o644)
}

func links(dir, path, to string) error {
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
		return err
	}
	return os.Symlink(to, filepath.Join(dir, path))
}

func TestLinksInsideOfAnArtifactAreServed(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	s := open(t, static.Options{Base: base})
	err := s.Deploy(t.Context(), at("staging", "shop"), func(ctx context.Context, digest pipeline.Digest, dir string) error {
		return errors.Join(targettest.Site(1).Files(ctx, digest, dir), links(dir, "assets/start.html", "../index.html"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := serves(base+"/shop", "assets/start.html"); got != targettest.Site(1)["index.html"] {
		t.Fatalf("the link serves %q", got)
	}
}

func TestAReleaseIsNamedAfterItsTimeCommitAndDeployment(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	now := time.Date(2026, 11, 23, 20, 49, 5, 0, time.FixedZone("KST", 9*3600))
	s := open(t, static.Options{Base: base, Now: func() time.Time { return now }})
	var names []string
	for _, id := range []string{"7/staging#1", "7/staging#2"} {
		d := at("staging", "shop")
		d.ID = id
		if id == "7/staging#2" {
			d.Digest = targettest.Site(2).Digest() // the same commit gave other bytes
		}
		if err := s.Deploy(t.Context(), d, targettest.Site(len(names)+1).Files); err != nil {
			t.Fatal(err)
		}
		to, err := os.Readlink(base + "/shop/current")
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, to)
		want := "releases/20261123114905-" + string(d.Commit[:12]) + "-"
		if !strings.HasPrefix(to, want) {
			t.Fatalf("current → %s, want %s…", to, want)
		}
		var mark map[string]string
		if err := json.Unmarshal([]byte(serves(base+"/shop", ".well-known/release")), &mark); err != nil {
			t.Fatal(err)
		}
		if mark["digest"] != string(d.Digest) || mark["commit"] != string(d.Commit) || mark["deployment"] != id {
			t.Fatalf("the release says of itself %v", mark)
		}
	}
	if names[0] == names[1] {
		t.Fatal("two deployments of one commit share a release")
	}
}

func TestOldReleasesGoButNeverTheServedOneNorTheOneBefore(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, static.Options{Base: base, Keep: 2, Now: func() time.Time { clock = clock.Add(time.Second); return clock }})
	p := targettest.Place{Settings: map[string]string{"root": "shop"}}
	for n := 1; n <= 2; n++ {
		if err := s.Deploy(t.Context(), p.Deployment("staging", n, 1), targettest.Site(n).Files); err != nil {
			t.Fatal(err)
		}
	}
	foreign := filepath.Join(base, "shop", "releases", "by-hand")
	if err := os.Mkdir(foreign, 0o755); err != nil {
		t.Fatal(err)
	}
	// Version 1 is back, and is the oldest by its name. Version 3 then makes it the one before.
	asked := false
	back := p.Deployment("staging", 1, 1)
	back.ID += "-back"
	if err := s.Deploy(t.Context(), back, func(context.Context, pipeline.Digest, string) error { asked = true; return nil }); err != nil {
		t.Fatal(err)
	}
	if asked {
		t.Fatal("the files of a release that is still there were laid out again")
	}
	d := p.Deployment("staging", 3, 1)
	if err := s.Deploy(t.Context(), d, targettest.Site(3).Files); err != nil {
		t.Fatal(err)
	}
	var kept []string
	entries, err := os.ReadDir(filepath.Join(base, "shop", "releases"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		mark, _ := os.ReadFile(filepath.Join(base, "shop", "releases", e.Name(), ".well-known/release"))
		for n := 1; n <= 3; n++ {
			if bytes.Contains(mark, []byte(targettest.Site(n).Digest())) {
				kept = append(kept, string(rune('0'+n)))
			}
		}
	}
	if got := strings.Join(kept, ""); got != "13" {
		t.Fatalf("versions %s are kept, want the served 3 and the 1 before it", got)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Fatal("a folder that is not ours was removed")
	}
	if !strings.Contains(d.Log.(*bytes.Buffer).String(), "Removed the old release") {
		t.Fatal("the log does not say what was removed")
	}
}

func TestTheJournalSaysEachStepAndSurvivesATornLine(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	s := open(t, static.Options{Base: base})
	d := at("staging", "shop")
	if err := s.Deploy(t.Context(), d, targettest.Site(1).Files); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(base, "shop", ".cd", "journal.jsonl")
	if got := strings.Join(steps(t, path), " "); got != "stage place switch prune done" {
		t.Fatalf("the journal says %s", got)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"at":"2026-`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(steps(t, path), " "); got != "stage place switch prune done torn remove removed" {
		t.Fatalf("the journal says %s", got)
	}
}

func TestALongJournalIsShortened(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	s := open(t, static.Options{Base: base})
	d := at("staging", "shop")
	if err := s.Deploy(t.Context(), d, targettest.Site(1).Files); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(base, "shop", ".cd", "journal.jsonl")
	line := `{"step":"done","deployment":"` + strings.Repeat("x", 1000) + `"}` + "\n"
	if err := os.WriteFile(path, []byte(strings.Repeat(line, 1100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	got := steps(t, path)
	if n := len(got); n < 500 || n > 600 || got[n-1] != "removed" || got[0] != "done" {
		t.Fatalf("%d lines are left, the first %s, the last %s", n, got[0], got[n-1])
	}
}

func steps(t *testing.T, path string) (all []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var e struct{ Step string }
		if json.Unmarshal([]byte(line), &e) != nil {
			e.Step = "torn"
		}
		all = append(all, e.Step)
	}
	return all
}

func TestADanglingCurrentIsToldAndRepaired(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	s := open(t, static.Options{Base: base})
	d := at("staging", "shop")
	if err := s.Deploy(t.Context(), d, targettest.Site(1).Files); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(base + "/shop/releases"); err != nil { // someone tidied up by hand
		t.Fatal(err)
	}
	if got, err := s.Probe(t.Context(), d); err == nil {
		t.Fatalf("Probe = %q without an error, though the release is gone", got)
	}
	if err := s.Deploy(t.Context(), d, targettest.Site(1).Files); err != nil {
		t.Fatal(err)
	}
	if serves(base+"/shop", "index.html") == "" {
		t.Fatal("nothing is served")
	}
}
