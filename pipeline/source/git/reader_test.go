package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/source/sourcetest"
)

func TestAReaderThatHasEndedIsStartedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	c := b.commit(t, "", sourcetest.Files{"a": sourcetest.Text("1")})
	b.fetch(t, s, c)
	r := &s.repos[7].objects
	read := func(when string) {
		t.Helper()
		if got, err := s.File(t.Context(), b.repo.Repo, c, "a", 10); err != nil || string(got) != "1" {
			t.Errorf("%s: %q, %v", when, got, err)
		}
	}
	first := r.cmd.Process.Pid
	read("the first time")
	if r.cmd.Process.Pid != first {
		t.Error("each question takes a process")
	}
	r.close()
	read("after its end")

	late, cancel := context.WithCancel(t.Context())
	err := r.ask(late, func() error {
		cancel()
		for { // until the process is gone
			if _, err := r.info(string(c)); err != nil {
				return err
			}
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("who gives up in the middle gets %v", err)
	}
	read("after someone gave up in the middle")

	broken := errors.New("out of step")
	if err := r.ask(t.Context(), func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	read("after a broken answer")
}

func TestWhatAnEarlierServerFetchedCostsNoNetwork(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.open(t)
	c := b.commit(t, "", sourcetest.Files{"a": sourcetest.Text("1")})
	d := b.commit(t, c, sourcetest.Files{"a": sourcetest.Text("2")})
	b.fetch(t, first, c)
	crash(t, first)
	second := b.open(t)
	before := b.Fetches()
	b.fetch(t, second, c)
	if n := b.Fetches() - before; n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
	b.fetch(t, second, d)
	crash(t, second)

	packs, err := filepath.Glob(filepath.Join(second.repos[7].mirror, "objects", "pack", "*"))
	if err != nil || len(packs) == 0 {
		t.Fatalf("no packs: %v", err)
	}
	for _, pack := range packs {
		if err := os.Remove(pack); err != nil {
			t.Fatal(err)
		}
	}
	third := b.open(t)
	b.fetch(t, third, d)
	if got, err := third.File(t.Context(), b.repo.Repo, d, "a", 10); err != nil || string(got) != "2" {
		t.Errorf("a mirror that lost its packs gives %q, %v", got, err)
	}
}
