package sourcetest

import (
	"bytes"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Entry is what a commit holds under one path.
type Entry struct {
	mode string
	text string
}

// Text is a plain file.
func Text(s string) Entry { return Entry{"100644", s} }

// Program is an executable file.
func Program(s string) Entry { return Entry{"100755", s} }

// Link is a symbolic link.
func Link(to string) Entry { return Entry{"120000", to} }

// Submodule points to a commit of another repository.
func Submodule(commit pipeline.Commit) Entry { return Entry{"160000", string(commit)} }

// Files are all the files of a commit.
type Files map[string]Entry

// Commit makes a commit that holds exactly these files, and lets ref show it. parent may be empty.
func (r *Repository) Commit(t testing.TB, ref string, parent pipeline.Commit, files Files) pipeline.Commit {
	t.Helper()
	r.mu.Lock()
	r.number++
	n := r.number
	r.mu.Unlock()
	// https://git-scm.com/docs/git-fast-import
	var in bytes.Buffer
	message := fmt.Sprintf("Change %d\n\nwith a body\n", n)
	fmt.Fprintf(&in, "reset refs/made\n\ncommit refs/made\nmark :1\nauthor A <a@example.com> %d +0000\ncommitter C <c@example.com> %d +0000\ndata %d\n%s\n",
		1700000000+n, 1700000000+n, len(message), message)
	if parent != "" {
		fmt.Fprintf(&in, "from %s\n", parent)
	}
	in.WriteString("deleteall\n")
	for _, path := range slices.Sorted(maps.Keys(files)) {
		e := files[path]
		if e.mode == "160000" {
			fmt.Fprintf(&in, "M 160000 %s %s\n", e.text, quote(path))
			continue
		}
		fmt.Fprintf(&in, "M %s inline %s\ndata %d\n%s\n", e.mode, quote(path), len(e.text), e.text)
	}
	in.WriteString("\nget-mark :1\ndone\n")
	out := r.git(t, in.Bytes(), "fast-import", "--quiet", "--done", "--force")
	commit := pipeline.Commit(strings.TrimSpace(out))
	if ref != "" {
		r.Show(t, ref, commit)
	}
	return commit
}

// quote writes a path as fast-import reads it, byte by byte.
func quote(path string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(path) {
		fmt.Fprintf(&b, "\\%03o", c)
	}
	b.WriteByte('"')
	return b.String()
}

// Show lets ref show a commit, whatever it showed before.
func (r *Repository) Show(t testing.TB, ref string, commit pipeline.Commit) {
	t.Helper()
	r.git(t, nil, "update-ref", ref, string(commit))
}

// RawTree is one entry of a tree as it is written by hand, without any of git's checks.
type RawTree struct {
	Entry Entry
	Under []RawTree // a folder
	Name  string
}

// RawCommit makes a commit of trees that a well-behaved client never makes.
func (r *Repository) RawCommit(t testing.TB, ref string, entries ...RawTree) pipeline.Commit {
	t.Helper()
	tree := r.rawTree(t, entries)
	commit := pipeline.Commit(strings.TrimSpace(r.git(t, nil, "commit-tree", "-m", "by hand", tree)))
	r.Show(t, ref, commit)
	return commit
}

func (r *Repository) rawTree(t testing.TB, entries []RawTree) string {
	t.Helper()
	var body bytes.Buffer
	for _, e := range entries {
		mode, id := e.Entry.mode, ""
		if e.Under != nil {
			mode, id = "40000", r.rawTree(t, e.Under)
		} else {
			id = strings.TrimSpace(r.git(t, []byte(e.Entry.text), "hash-object", "-w", "--stdin"))
		}
		raw := make([]byte, 20)
		if _, err := fmt.Sscanf(id, "%40x", &raw); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&body, "%s %s\x00%s", mode, e.Name, raw)
	}
	return strings.TrimSpace(r.git(t, body.Bytes(), "hash-object", "-t", "tree", "-w", "--literally", "--stdin"))
}

// Forget removes a commit from the server for good, after refs were moved away from it.
func (r *Repository) Forget(t testing.TB) {
	t.Helper()
	r.git(t, nil, "update-ref", "-d", "refs/made")
	r.git(t, nil, "gc", "--quiet", "--prune=now")
}

func (r *Repository) git(t testing.TB, stdin []byte, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + r.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=C", "GIT_COMMITTER_EMAIL=c@example.com",
		"GIT_AUTHOR_DATE=1700000000 +0000", "GIT_COMMITTER_DATE=1700000000 +0000", "LC_ALL=C", "GIT_DIR=."}
	cmd.Stdin = bytes.NewReader(stdin)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, complaint.String())
	}
	return string(out)
}

// Content is what a file holds.
func Content(e Entry) string { return e.text }
