package logs

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// search finds many needles at once. It looks at four bytes in every few: any needle that is there must show one of its
// own four-byte pieces at one of those places. So the cost hardly depends on how many needles there are, and the
// longer the shortest needle is, the fewer places are looked at.
type search struct {
	needles []string
	longest int // bytes
	stride  int // distance of the places looked at

	filter  []uint64 // one bit per hash of a piece
	shift   uint     // of the hash
	starts  []uint32 // hash, coarser → first of its pieces
	coarser uint
	pieces  []piece

	heads map[string]bool // the needles' first one, two and three bytes
}

// piece is four bytes of a needle.
type piece struct {
	gram   uint32
	needle uint32
	offset uint32
}

type span struct{ start, end int }

const (
	gram      = 4
	maxStride = 9 // more would cost memory and gain nothing
)

func newSearch(needles []string) *search {
	s := &search{needles: needles, stride: maxStride, heads: make(map[string]bool)}
	for _, n := range needles {
		s.longest = max(s.longest, len(n))
		s.stride = min(s.stride, len(n)-gram+1)
		for i := 1; i < gram; i++ {
			s.heads[n[:i]] = true
		}
	}
	for i, n := range needles {
		for offset := range s.stride {
			s.pieces = append(s.pieces, piece{gramAt(n[offset:]), uint32(i), uint32(offset)})
		}
	}
	// About one bit in 64 is set, so that few places cost more than the look; the bits of a few secrets fit the
	// processor's nearest cache.
	width := max(14, bits.Len(uint(len(s.pieces)))+6)
	s.shift = uint(32 - min(width, 24))
	s.filter = make([]uint64, 1<<(32-s.shift)/64)
	s.coarser = 6
	slices.SortFunc(s.pieces, func(a, b piece) int { return int(s.hash(a.gram)) - int(s.hash(b.gram)) })
	s.starts = make([]uint32, len(s.filter)+1)
	for i, p := range s.pieces {
		h := s.hash(p.gram)
		s.filter[h/64] |= 1 << (h % 64)
		s.starts[h>>s.coarser+1] = uint32(i + 1)
	}
	for i := 1; i < len(s.starts); i++ {
		s.starts[i] = max(s.starts[i], s.starts[i-1])
	}
	return s
}

func gramAt(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func (s *search) hash(gram uint32) uint32 { return gram * 0x9E3779B1 >> s.shift }

func (s *search) candidates(gram uint32) []piece {
	h := s.hash(gram) >> s.coarser
	return s.pieces[s.starts[h]:s.starts[h+1]]
}

// find appends the places of all needles in text, sorted by start. They may overlap.
func (s *search) find(text []byte, found []span) []span {
	if len(s.needles) == 0 {
		return found
	}
	filter, stride, shift := s.filter, s.stride, s.shift
	for at := 0; at+gram <= len(text); at += stride {
		g := binary.LittleEndian.Uint32(text[at:])
		h := g * 0x9E3779B1 >> shift
		if filter[h/64]&(1<<(h%64)) == 0 {
			continue
		}
		for _, p := range s.candidates(g) {
			start := at - int(p.offset)
			if p.gram != g || start < 0 {
				continue
			}
			n := s.needles[p.needle]
			if len(text)-start >= len(n) && string(text[start:start+len(n)]) == n {
				found = append(found, span{start, start + len(n)})
			}
		}
	}
	slices.SortFunc(found, func(a, b span) int { return a.start - b.start })
	return found
}

// open returns where the earliest needle may begin whose end has not come yet; the text's length when there is none.
func (s *search) open(text []byte) int {
	at := max(0, len(text)-s.longest+1)
	for ; at+gram <= len(text); at++ {
		g := binary.LittleEndian.Uint32(text[at:])
		h := s.hash(g)
		if len(s.needles) == 0 || s.filter[h/64]&(1<<(h%64)) == 0 {
			continue
		}
		for _, p := range s.candidates(g) {
			if p.gram != g || p.offset != 0 {
				continue
			}
			n := s.needles[p.needle]
			if rest := len(text) - at; rest < len(n) && n[:rest] == string(text[at:]) {
				return at
			}
		}
	}
	for ; at < len(text); at++ {
		if s.heads[string(text[at:])] {
			return at
		}
	}
	return len(text)
}
