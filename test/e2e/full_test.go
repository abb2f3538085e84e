package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAFullDiskTakesNoWebhookAndGoesOnWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	h := found(t)
	if err := syscall.Mount("tmpfs", h.config.DataDir, "tmpfs", 0, "size=24m"); err != nil {
		t.Fatalf("a small disk cannot be made: %v; this test mounts a tmpfs: run it as root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(h.config.DataDir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	h.start()
	t.Cleanup(func() { h.stop() })
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	pull := must(h.gh.OpenPull(repo, "author", "talk", h.topic(first), "main"))(t)
	h.quiet()

	full := filepath.Join(h.config.DataDir, "full")
	fill(t, full)
	refused, before := 0, len(h.gh.Deliveries())
	for n := 0; refused == 0 && n < 300; n++ { // the journal's file has some room of its own
		h.comment(pull, "reader", strings.Repeat("The disk is nearly full. ", 2000))
		h.settled()
		for _, d := range h.gh.Deliveries()[before:] {
			switch {
			case d.StatusCode == http.StatusServiceUnavailable:
				refused++
			case d.StatusCode/100 != 2:
				t.Fatalf("%s was answered with %d", d.Event, d.StatusCode)
			}
		}
	}
	if refused == 0 {
		t.Fatal("every webhook was taken by a full disk")
	}
	h.comment(pull, "maintainer", "/approve production@"+first[:10])
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	h.redeliver()
	h.deployed("production", first)
	h.ends()
}

// fill writes a file until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f := must(os.Create(path))(t)
	for _, size := range []int{1 << 20, 4 << 10, 1} {
		block := make([]byte, size)
		for {
			if _, err := f.Write(block); err != nil {
				break
			}
		}
	}
	if err := f.Close(); err != nil {
		t.Logf("closing a file on a full disk: %v", err)
	}
}
