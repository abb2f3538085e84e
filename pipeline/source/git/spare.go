package git

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// spares are workspaces that stand ready before they are asked for: most of what a workspace costs is its mount, and
// that can be paid while the step before runs.
type spares struct {
	of   map[wanted]*workspace // one for each commit; a key without one: it is being made
	made int                   // so far; names them
	life time.Duration         // how long one is kept for somebody to come
}

type wanted struct {
	repo   int64
	commit pipeline.Commit
	parts  string // the name of them
}

func wantedOf(repo pipeline.Repo, commit pipeline.Commit, parts []pipeline.Part) wanted {
	w := wanted{repo: repo.ID, commit: commit}
	if len(parts) > 0 {
		w.parts, _ = additionName(parts) // which is JSON of plain fields
	}
	return w
}

// Expect implements source.Source. It keeps at most one workspace for each commit, and one for each processor.
func (s *Source) Expect(repo pipeline.Repo, commit pipeline.Commit, parts ...pipeline.Part) {
	if !s.lay.Overlay || checkCommit(commit) != nil {
		return // a copy is expensive to make in vain
	}
	r, err := s.repository(repo)
	if err != nil {
		return
	}
	key := wantedOf(repo, commit, parts)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.spares.of[key]; there || s.closed || len(s.spares.of) >= runtime.NumCPU() {
		return
	}
	s.spares.made++
	id := fmt.Sprintf(".spare-%d", s.spares.made) // no id of a caller begins with a dot
	w := &workspace{source: s, repository: r, id: id, folder: s.path("work", id)}
	s.open[id] = w
	s.spares.of[key] = nil
	s.preparing.Go(func() { s.prepareSpare(w, key, repo, parts) })
}

func (s *Source) prepareSpare(w *workspace, key wanted, repo pipeline.Repo, parts []pipeline.Part) {
	if err := w.make(context.Background(), repo, key.commit, parts); err != nil {
		s.log.Warn("no workspace could be made ahead", "err", err)
		s.giveUp(w)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.spares.of, key)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spares.of[key] = w
	w.unclaimed = time.AfterFunc(s.spares.life, func() {
		s.mu.Lock()
		left := !s.closed && s.spares.of[key] == w
		if left {
			delete(s.spares.of, key)
			s.preparing.Add(1)
		}
		s.mu.Unlock()
		if left {
			defer s.preparing.Done()
			s.giveUp(w)
		}
	})
}

// giveUp removes what there is of a spare workspace.
func (s *Source) giveUp(w *workspace) {
	if err := w.Close(); err != nil {
		s.log.Warn("a workspace that nobody asked for is left until the next start", "err", err)
	}
}

// takeSpare gives the spare workspace of a commit its place, when there is one. It returns nil when there is none, or it
// would not move.
func (s *Source) takeSpare(repo pipeline.Repo, commit pipeline.Commit, id string, parts []pipeline.Part) *workspace {
	key := wantedOf(repo, commit, parts)
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.spares.of[key]
	if w == nil {
		return nil
	}
	folder := s.path("work", id)
	if err := os.Rename(w.folder, folder); err != nil { // what is mounted inside moves along
		return nil
	}
	w.unclaimed.Stop()
	delete(s.spares.of, key)
	delete(s.open, w.id)
	w.id, w.folder = id, folder
	s.open[id] = w
	return w
}
