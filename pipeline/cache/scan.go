package cache

import "bytes"

// scan looks for words in a stream. It keeps the end of what it has seen, for a word may lie across two writes.
type scan struct {
	words [][]byte
	kept  []byte
	found bool
}

// newScan looks for words of some length: shorter ones are in everything.
func newScan(words []string) *scan {
	s := &scan{}
	for _, w := range words {
		if w := bytes.TrimSpace([]byte(w)); len(w) >= shortest {
			s.words = append(s.words, w)
		}
	}
	return s
}

// shortest is the length in bytes below which a word says nothing.
const shortest = 4

func (s *scan) Write(p []byte) (int, error) {
	if s.found || len(s.words) == 0 {
		return len(p), nil
	}
	s.kept = append(s.kept, p...)
	longest := 0
	for _, w := range s.words {
		s.found = s.found || bytes.Contains(s.kept, w)
		longest = max(longest, len(w))
	}
	s.kept = append(s.kept[:0], s.kept[max(0, len(s.kept)-longest+1):]...)
	return len(p), nil
}

// next is the beginning of another stream.
func (s *scan) next() { s.kept = s.kept[:0] }
