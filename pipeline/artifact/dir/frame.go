package dir

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// A pack file is a row of frames and nothing else. A frame is a head of 60 bytes and its payload:
//
//	 0  salt     8 bytes  the pack's own random number, from its file name
//	 8  kind     1 byte   blob or list
//	 9  codec    1 byte   raw or zstd
//	10  -        2 bytes  zero
//	12  raw      uint32   bytes after decompression
//	16  stored   uint32   bytes of the payload
//	20  sum      uint32   CRC-32C of the payload
//	24  digest  32 bytes  SHA-256 of the object
//	56  check    uint32   CRC-32C of the 56 bytes before it
//
// All numbers are little-endian. An object of up to 1 MiB is one blob. A longer one is cut into blobs of 1 MiB and has a
// list: its size as uint64, then the SHA-256 of each of them; the list's digest is the whole object's.
//
// The salt makes it impossible to write a file whose content, stored raw, looks like a frame after some damage before
// it: its author would have to guess the salt.
const (
	headSize  = 60
	chunkSize = 1 << 20
	maxChunks = (chunkSize - 8) / sha256.Size // 32 GiB
)

const (
	blob byte = 1
	list byte = 2

	raw     byte = 0
	zstdOne byte = 1
)

// sum256 is a digest's 32 bytes.
type sum256 = [sha256.Size]byte

// key is the first half of a digest. No two contents that share it can be found either, and the head has the rest.
type key [16]byte

func keyOf(d sum256) key { return key(d[:16]) }

// place is where a frame starts. Packs are far smaller than 4 GiB.
type place struct {
	pack   uint32 // number in Store.packs; the top bit is set once the payload's checksum is known to be right
	offset uint32
}

const proven = 1 << 31

func (p place) number() int { return int(p.pack &^ proven) }

type head struct {
	kind, codec byte
	raw, stored uint32
	sum         uint32
	digest      sum256
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (h head) appendTo(b []byte, salt [8]byte) []byte {
	start := len(b)
	b = append(b, salt[:]...)
	b = append(b, h.kind, h.codec, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, h.raw)
	b = binary.LittleEndian.AppendUint32(b, h.stored)
	b = binary.LittleEndian.AppendUint32(b, h.sum)
	b = append(b, h.digest[:]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// parseHead tells whether a whole and sound head starts b.
func parseHead(b []byte, salt [8]byte) (head, bool) {
	if len(b) < headSize || [8]byte(b) != salt {
		return head{}, false
	}
	if crc32.Checksum(b[:headSize-4], castagnoli) != binary.LittleEndian.Uint32(b[headSize-4:]) {
		return head{}, false
	}
	h := head{
		kind: b[8], codec: b[9],
		raw:    binary.LittleEndian.Uint32(b[12:]),
		stored: binary.LittleEndian.Uint32(b[16:]),
		sum:    binary.LittleEndian.Uint32(b[20:]),
		digest: sum256(b[24:]),
	}
	known := (h.kind == blob || h.kind == list) && (h.codec == raw || h.codec == zstdOne)
	return h, known && h.raw <= chunkSize && h.stored <= h.raw
}

func parseDigest(d pipeline.Digest) (sum sum256, ok bool) {
	if !d.Valid() {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(strings.TrimPrefix(string(d), "sha256:")))
	return sum, err == nil
}

func digestOf(sum sum256) pipeline.Digest {
	return pipeline.Digest("sha256:" + hex.EncodeToString(sum[:]))
}
