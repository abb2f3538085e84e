package git

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// tidy puts the mirror in order now and then: each fetch leaves one pack and one ref, and both make the next fetch a
// little slower. The packs are made one, and the commits that nobody asked for recently are dropped. The caller holds the fetch gate; readers go on meanwhile. What
// fails here has no consequence but the next attempt. A dropped commit that is asked for again is fetched again.
func (s *Source) tidy(ctx context.Context, r *repository) {
	packs, _ := filepath.Glob(filepath.Join(r.mirror, "objects", "pack", "*.pack"))
	if len(packs) < s.packsBeforeTidy {
		return
	}
	if err := s.drop(ctx, r); err != nil {
		s.log.Warn("a mirror could not be put in order", "repository", r.id, "error", err)
		return
	}
	defer r.objects.close() // it would keep the removed packs on the disk
	if _, err := s.git.run(ctx, call{dir: r.mirror, args: []string{"gc", "--quiet", "--force", "--prune=now"}}); err != nil {
		s.log.Warn("a mirror could not be put in order", "repository", r.id, "error", err)
	}
}

// drop forgets all but the commits that were used last.
func (s *Source) drop(ctx context.Context, r *repository) error {
	list := call{dir: r.mirror, limit: 16 << 20, args: []string{"for-each-ref", "--sort=-creatordate", "--format=%(refname)", "refs/conveyor/"}}
	out, err := s.git.run(ctx, list)
	if err != nil {
		return err
	}
	var commits []pipeline.Commit // those of an earlier server stay in the order of their dates, behind the used ones
	for line := range strings.Lines(string(out)) {
		if c := pipeline.Commit(strings.TrimPrefix(strings.TrimSpace(line), "refs/conveyor/")); c.Valid() {
			commits = append(commits, c)
		}
	}
	if len(commits) <= s.commitsKept {
		return nil
	}
	r.state.Lock()
	slices.SortStableFunc(commits, func(a, b pipeline.Commit) int {
		x, y := r.known[a], r.known[b]
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	var gone bytes.Buffer
	for _, c := range commits[s.commitsKept:] {
		delete(r.known, c)
		gone.WriteString("delete " + keptRef(c) + "\n")
	}
	r.state.Unlock()
	_, err = s.git.run(ctx, call{dir: r.mirror, args: []string{"update-ref", "--stdin"}, stdin: gone.Bytes()})
	return err
}
