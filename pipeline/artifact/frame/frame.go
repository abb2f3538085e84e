// Package frame is the form in which contents lie together in a pack, on a disk and in a bucket: compressed frames in a row
// that each carry their own length, checksum and SHA-256; and an index of them.
//
// A frame is a head of 60 bytes and its payload:
//
//	 0  salt     8 bytes  the pack's own random number
//	 8  kind     1 byte   blob or list
//	 9  codec    1 byte   raw or zstd
//	10  -        2 bytes  zero
//	12  raw      uint32   bytes after decompression
//	16  stored   uint32   bytes of the payload
//	20  sum      uint32   CRC-32C of the payload
//	24  digest  32 bytes  SHA-256 of the content
//	56  check    uint32   CRC-32C of the 56 bytes before it
//
// All numbers are little-endian. The salt makes it impossible to write a file whose content, stored raw, looks like a frame
// after some damage before it: its author would have to guess the salt.
package frame

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

const (
	HeadSize = 60
	Most     = 1 << 20 // bytes that a frame may hold, before compression
)

// What a frame holds, and how.
const (
	Blob byte = 1 // a content, or a part of one
	List byte = 2 // of a longer content: its size, and the SHA-256 of its parts

	Raw  byte = 0
	Zstd byte = 1
)

// Sum is a digest's 32 bytes.
type Sum = [sha256.Size]byte

// Salt is a pack's own random number.
type Salt = [8]byte

// Key is the first half of a digest. No two contents that share it can be found either, and the head has the rest.
type Key [16]byte

// KeyOf is the key of a content.
func KeyOf(d Sum) Key { return Key(d[:16]) }

// Head is what stands before a payload.
type Head struct {
	Kind, Codec byte
	Raw, Stored uint32
	Sum         uint32
	Digest      Sum
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the one of payloads, heads and indexes.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// AppendTo appends the head as it is stored in a pack.
func (h Head) AppendTo(b []byte, salt Salt) []byte {
	start := len(b)
	b = append(b, salt[:]...)
	b = append(b, h.Kind, h.Codec, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, h.Raw)
	b = binary.LittleEndian.AppendUint32(b, h.Stored)
	b = binary.LittleEndian.AppendUint32(b, h.Sum)
	b = append(b, h.Digest[:]...)
	return binary.LittleEndian.AppendUint32(b, Checksum(b[start:]))
}

// Parse tells whether a whole and sound head starts b.
func Parse(b []byte, salt Salt) (Head, bool) {
	if len(b) < HeadSize || Salt(b) != salt {
		return Head{}, false
	}
	if Checksum(b[:HeadSize-4]) != binary.LittleEndian.Uint32(b[HeadSize-4:]) {
		return Head{}, false
	}
	h := Head{
		Kind: b[8], Codec: b[9],
		Raw:    binary.LittleEndian.Uint32(b[12:]),
		Stored: binary.LittleEndian.Uint32(b[16:]),
		Sum:    binary.LittleEndian.Uint32(b[20:]),
		Digest: Sum(b[24:]),
	}
	known := (h.Kind == Blob || h.Kind == List) && (h.Codec == Raw || h.Codec == Zstd)
	return h, known && h.Raw <= Most && h.Stored <= h.Raw
}

// ParseDigest is a digest's bytes, where it is one.
func ParseDigest(d pipeline.Digest) (sum Sum, ok bool) {
	if !d.Valid() {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(strings.TrimPrefix(string(d), "sha256:")))
	return sum, err == nil
}

// DigestOf writes it out.
func DigestOf(sum Sum) pipeline.Digest {
	return pipeline.Digest("sha256:" + hex.EncodeToString(sum[:]))
}
