package dir

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
)

// The index file beside a pack spares Open the walk over the frames' heads. It is only believed when it is whole and
// speaks of exactly this pack at exactly this size; otherwise the pack is scanned, as if there were none.
//
//	"conveyor index 1" · salt (8) · size of the pack (8) · entries: key (16), offset (4) · CRC-32C of all that (4)
const (
	indexEnding = ".index"
	indexMagic  = "conveyor index 1"
	indexEntry  = 16 + 4
)

// writeIndex is best effort: without the file the next Open is slower. The caller holds mu, and nothing is pending.
func (s *Store) writeIndex(i int) {
	p := s.packs[i]
	b := append([]byte(indexMagic), p.salt[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.size))
	for k, at := range s.index {
		if at.number() == i {
			b = binary.LittleEndian.AppendUint32(append(b, k[:]...), at.offset)
		}
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	path := s.path(p, indexEnding)
	err := os.Remove(path) // writing over it would make some file systems wait for the disk
	if err == nil || errors.Is(err, os.ErrNotExist) {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		s.log.Warn("artifact pack: its index was not written; the next start takes longer", "pack", p.name, "error", err)
	}
}

func (s *Store) readIndex(i int) bool {
	p := s.packs[i]
	b, err := os.ReadFile(s.path(p, indexEnding))
	const front = len(indexMagic) + 8 + 8
	if err != nil || len(b) < front+4 || (len(b)-front-4)%indexEntry != 0 {
		return false
	}
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return false
	}
	want := binary.LittleEndian.AppendUint64(append([]byte(indexMagic), p.salt[:]...), uint64(p.size))
	if !bytes.Equal(body[:front], want) {
		return false
	}
	for e := body[front:]; len(e) > 0; e = e[indexEntry:] {
		s.index[key(e)] = place{uint32(i), binary.LittleEndian.Uint32(e[16:])}
	}
	return true
}
