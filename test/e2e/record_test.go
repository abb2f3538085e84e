package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy/ledger"
)

func TestNothingEntersAsLongAsTheLedgerCannotTellWhoApprovedIt(t *testing.T) {
	t.Parallel()
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatalf("a small disk cannot be made: %v; this test mounts a tmpfs: run it as root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(small, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	lines := filepath.Join(small, ledger.File)
	h := open(t, func(h *house) {
		if err := os.Symlink(lines, filepath.Join(h.config.DataDir, ledger.File)); err != nil {
			t.Fatal(err)
		}
	})
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	pull := must(h.gh.OpenPull(repo, "author", "talk", h.topic(first), "main"))(t)
	h.quiet()
	fill(t, filepath.Join(small, "full"))
	for n := 0; n < 3; n++ { // the ledger's last block may have room for one line
		h.comment(pull, "reader", "/approve production@"+first[:10]+strings.Repeat(" ", n))
	}
	h.comment(pull, "maintainer", "/approve production@"+first[:10])
	h.answered(pull, "Approved: "+first[:7])
	h.until("the first try", func() bool { return strings.Contains(h.log.String(), "production#1 does not start") })
	h.comment(pull, "reader", "/why production")
	h.answered(pull, "it is tried again and again: nothing enters as long as the ledger cannot tell who approved it: `audit.jsonl: no space left on device`")
	if got := h.commits("production"); len(got) != 0 {
		t.Fatalf("production got %v, and nobody can prove on whose word", got)
	}
	if err := os.Remove(filepath.Join(small, "full")); err != nil {
		t.Fatal(err)
	}
	h.deployed("production", first)
	h.ends()
}
