package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What goes wrong on our side is tried again by itself, twice, and is never called the step's fault.
func TestAnArtifactThatCannotBeStoredIsTriedThreeTimes(t *testing.T) {
	t.Parallel()
	h := found(t)
	small := filepath.Join(h.config.DataDir, "artifacts")
	if err := os.MkdirAll(small, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatalf("a small disk cannot be made: %v; this test mounts a tmpfs: run it as root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(small, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	h.start()
	t.Cleanup(func() { h.stop() })
	files := plan("mkdir dist && head -c 3000000 /dev/urandom >dist/large", "        artifact: {name: site, paths: [dist/**]}")
	sha := h.push("main", "author", "first", files)
	run := h.concluded(sha, "conveyor / test")
	if run.Conclusion == "success" || !strings.Contains(run.Title+run.Summary, "given up after 3 attempts") || !strings.Contains(run.Title+run.Summary, "could not be stored") {
		t.Errorf("%s: %s\n%s", run.Conclusion, run.Title, run.Summary)
	}
	if logs := h.attempts("unit"); len(logs) != 3 || !strings.Contains(logs[2], "This attempt was lost: the artifact could not be stored") {
		t.Errorf("the attempts' logs are %q", logs)
	}
}
