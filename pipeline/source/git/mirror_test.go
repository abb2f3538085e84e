package git

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
	"github.com/conveyor-ci/conveyor/pipeline/source/sourcetest"
)

func TestAStaleLockOfAKilledGitDoesNotStopFetching(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	first := b.commit(t, "", sourcetest.Files{"a": sourcetest.Text("1")})
	b.fetch(t, s, first)
	second := b.commit(t, first, sourcetest.Files{"a": sourcetest.Text("2")})
	for _, name := range []string{"shallow.lock", keptRef(second) + ".lock", "packed-refs.lock"} {
		if err := os.WriteFile(filepath.Join(s.repos[7].mirror, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.fetch(t, s, second)
}

func TestATidiedMirrorKeepsWhatWasUsedLast(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	s.packsBeforeTidy, s.commitsKept = 6, 4
	var commits []pipeline.Commit
	var last pipeline.Commit
	for i := range 12 {
		last = b.commit(t, last, sourcetest.Files{"a": sourcetest.Text(fmt.Sprint(i)), "same": sourcetest.Text("same")})
		commits = append(commits, last)
		b.fetch(t, s, last)
		b.fetch(t, s, commits[0]) // stays in use
	}
	packs, err := filepath.Glob(filepath.Join(s.repos[7].mirror, "objects", "pack", "*.pack"))
	if err != nil || len(packs) >= 6 {
		t.Errorf("%d packs, %v", len(packs), err)
	}
	for _, i := range []int{0, 11} {
		got, err := s.File(t.Context(), b.repo.Repo, commits[i], "a", 10)
		if err != nil || string(got) != fmt.Sprint(i) {
			t.Errorf("commit %d: %q, %v", i, got, err)
		}
	}
	if _, err := s.File(t.Context(), b.repo.Repo, commits[1], "a", 10); !errors.Is(err, source.ErrNoCommit) {
		t.Errorf("a commit that nobody used gave %v, want ErrNoCommit", err)
	}
	b.fetch(t, s, commits[1])
	if got, err := s.File(t.Context(), b.repo.Repo, commits[1], "a", 10); err != nil || string(got) != "1" {
		t.Errorf("fetched again: %q, %v", got, err)
	}
}

func TestCommitsCanBeAskedAbout(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	from := b.commit(t, "", sourcetest.Files{"a": sourcetest.Text("1"), "old": sourcetest.Text("same bytes"), "dir/x": sourcetest.Text("x")})
	to := b.commit(t, from, sourcetest.Files{"a": sourcetest.Text("2"), "new \"name\"\n": sourcetest.Text("same bytes"), "dir/x": sourcetest.Text("x"), "l": sourcetest.Link("dir")})
	b.fetch(t, s, from)
	if _, err := s.Changed(t.Context(), b.repo.Repo, from, to); !errors.Is(err, source.ErrNoCommit) {
		t.Errorf("a comparison with a commit that was not fetched gave %v", err)
	}
	b.fetch(t, s, to)
	got, err := s.Changed(t.Context(), b.repo.Repo, from, to)
	if want := []string{"a", "l", "new \"name\"\n", "old"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("changed are %q, %v; want %q", got, err, want)
	}
	if got, err := s.Subject(t.Context(), b.repo.Repo, to); err != nil || got != "Change 2" {
		t.Errorf("the subject is %q, %v", got, err)
	}
	has, err := s.Paths(t.Context(), b.repo.Repo, to)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"a": true, "dir/x": true, "l": true, "new \"name\"\n": true, "dir": false, "old": false} {
		if has(path) != want {
			t.Errorf("Paths says %t of %q", has(path), path)
		}
		there, err := s.Exists(t.Context(), b.repo.Repo, to, path)
		if wantThere := want || path == "dir"; err != nil || there != wantThere {
			t.Errorf("Exists says %t, %v of %q", there, err, path)
		}
	}
}

func TestOnlyWebAddressesWithoutCredentialsAreTaken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.commit(t, "", sourcetest.Files{"a": sourcetest.Text("1")})
	for _, address := range []string{"", "/srv/git/shop.git", "file:///srv/git/shop.git", "ssh://git@github.com/a/b", "git@github.com:a/b",
		"ext::sh -c id", "--upload-pack=id", "https://", "https://x:sesame@github.com/a/b", "https://github.com/a/b?token=sesame",
		"https://github.com/a/b#sesame", "https://x:sesame@bad host/%zz", "ftp://github.com/a"} {
		b.opts.URL = func(pipeline.Repo) string { return address }
		s := b.open(t)
		err := s.Fetch(t.Context(), b.repo.Repo, "", c, nil)
		if err == nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%q gave %v", address, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestForeignTextIsTamed(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"fatal: \x1b[31mred\x1b[0m\r\n\ttext \u202e\x00":                "fatal: [31mred[0m text",
		"token ghs_AbC123 and github_pat_11AA_bb, gho_x":                "token *** and ***, ***",
		"fatal: 'https://x-access-token:abc@github.com/a/b/' not found": "fatal: 'https***github.com/a/b/' not found",
		"Authorization: Basic eHg6eXk= sent":                            "*** sent",
		"remote: sesame c2VzYW1l":                                       "remote: *** ***",
		"":                                                              "it gave no reason",
		"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOjF9.c2ln is a JWT":               "*** is a JWT",
	} {
		if got := tame(in, "sesame"); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := tame(strings.Repeat("ä", 5000)); len([]rune(got)) > 300 {
		t.Errorf("%d characters remain", len([]rune(got)))
	}
}

// This test changes the environment of the whole process and therefore does not run beside others.
func TestGitSeesNothingOfTheServersEnvironment(t *testing.T) {
	b := newBench(t)
	trace := filepath.Join(t.TempDir(), "trace")
	rc := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(rc, []byte("[core]\n\tfsmonitor = /bin/false\n[url \"file:///\"]\n\tinsteadOf = http://\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := b.commit(t, "", sourcetest.Files{"a": sourcetest.Text("1")})
	for name, value := range map[string]string{"GIT_TRACE": trace, "GIT_TRACE_CURL": trace, "GIT_CONFIG_GLOBAL": rc, "GIT_CONFIG_SYSTEM": rc,
		"GIT_EXEC_PATH": "/nowhere", "GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/nowhere/index", "GIT_ASKPASS": "/bin/echo", "CONVEYOR_KEY": "sesame"} {
		t.Setenv(name, value)
	}
	s := b.open(t)
	b.fetch(t, s, c)
	b.workspace(t, s, c, "w")
	if _, err := os.Stat(trace); err == nil {
		t.Error("git wrote a trace")
	}
	if env := strings.Join(s.git.environment(call{network: true}), "\n"); strings.Contains(env, "sesame") {
		t.Errorf("git sees %s", env)
	}
}
