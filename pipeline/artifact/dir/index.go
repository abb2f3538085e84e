package dir

import (
	"errors"
	"os"

	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

// The index file beside a pack spares Open the walk over the frames' heads. It is only believed when it is whole and
// speaks of exactly this pack at exactly this size; otherwise the pack is scanned, as if there were none.
const indexEnding = ".index"

// writeIndex is best effort: without the file the next Open is slower. The caller holds mu, and nothing is pending.
func (s *Store) writeIndex(i int) {
	p := s.packs[i]
	index := frame.Index{Salt: p.salt, Size: p.size}
	for k, at := range s.index {
		if at.number() == i {
			index.Entries = append(index.Entries, frame.Entry{Key: k, Offset: at.offset})
		}
	}
	path := s.path(p, indexEnding)
	err := os.Remove(path) // writing over it would make some file systems wait for the disk
	if err == nil || errors.Is(err, os.ErrNotExist) {
		err = os.WriteFile(path, index.Encode(), 0o600)
	}
	if err != nil {
		s.log.Warn("artifact pack: its index was not written; the next start takes longer", "pack", p.name, "error", err)
	}
}

func (s *Store) readIndex(i int) bool {
	p := s.packs[i]
	b, err := os.ReadFile(s.path(p, indexEnding))
	if err != nil {
		return false
	}
	index, ok := frame.ParseIndex(b)
	if !ok || index.Salt != p.salt || index.Size != p.size {
		return false
	}
	for _, e := range index.Entries {
		s.index[e.Key] = place{uint32(i), e.Offset}
	}
	return true
}
