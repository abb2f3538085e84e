package frame

import (
	"encoding/binary"
)

// An index says where the frames of a pack begin. It is only believed when it is whole.
//
//	"conveyor index 1" · salt (8) · bytes of frames in the pack (8) · entries: key (16), offset (4) · CRC-32C of all that (4)
const (
	indexMagic = "conveyor index 1"
	indexFront = len(indexMagic) + 8 + 8
	indexEntry = 16 + 4
)

// Entry is one frame of a pack.
type Entry struct {
	Key    Key
	Offset uint32
}

// Index is of one pack.
type Index struct {
	Salt    Salt
	Size    int64 // of all frames
	Entries []Entry
}

// Encode writes it out.
func (x Index) Encode() []byte {
	b := make([]byte, 0, indexFront+len(x.Entries)*indexEntry+4)
	b = append(append(b, indexMagic...), x.Salt[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(x.Size))
	for _, e := range x.Entries {
		b = binary.LittleEndian.AppendUint32(append(b, e.Key[:]...), e.Offset)
	}
	return binary.LittleEndian.AppendUint32(b, Checksum(b))
}

// ParseIndex tells whether b is a whole and sound index.
func ParseIndex(b []byte) (x Index, ok bool) {
	if len(b) < indexFront+4 || (len(b)-indexFront-4)%indexEntry != 0 || string(b[:len(indexMagic)]) != indexMagic {
		return x, false
	}
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if Checksum(body) != sum {
		return x, false
	}
	x.Salt = Salt(body[len(indexMagic):])
	x.Size = int64(binary.LittleEndian.Uint64(body[len(indexMagic)+8:]))
	x.Entries = make([]Entry, 0, (len(body)-indexFront)/indexEntry)
	for e := body[indexFront:]; len(e) > 0; e = e[indexEntry:] {
		x.Entries = append(x.Entries, Entry{Key(e), binary.LittleEndian.Uint32(e[16:])})
	}
	return x, true
}

// Sound says that the frames lie behind each other, from the first byte to the last, as they do in a pack that was written at
// once.
func (x Index) Sound() bool {
	end := int64(0)
	for i, e := range x.Entries {
		if int64(e.Offset) < end || i == 0 && e.Offset != 0 {
			return false
		}
		end = int64(e.Offset) + HeadSize
	}
	return end <= x.Size
}
