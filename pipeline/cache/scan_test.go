package cache_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/cache"
)

func TestACacheThatHoldsASecretIsNotKept(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	const word = "canary-4711"
	// Files are read in blocks; the word lies across each border once.
	for _, before := range []int{0, 1, 32<<10 - 5, 32<<10 - len(word), 32 << 10, 100_000} {
		l := b.lend(main, "one")
		write(t, filepath.Join(l.Folders[1].Source, "deep", "config"), strings.Repeat("x", before)+word+"\n")
		if _, err := l.Keep(t.Context(), "other-secret", word+"\n", "abc"); !errors.Is(err, cache.ErrSecret) {
			t.Errorf("behind %d bytes: %v", before, err)
		}
		b.close(l)
	}
	// Half of it in each of two files is no secret, nor is one that is too short to mean anything.
	l := b.lend(main, "one")
	write(t, filepath.Join(l.Folders[0].Source, "a"), word[:6])
	write(t, filepath.Join(l.Folders[0].Source, "b"), word[6:])
	if _, err := l.Keep(t.Context(), word, "4", ""); err != nil {
		t.Error(err)
	}
	b.close(l)
	if left, err := os.ReadDir(filepath.Join(b.opts.Dir, "entries", "trusted")); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}
