package dir

import (
	"crypto/sha256"

	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

// A pack file is a row of frames and nothing else; package frame tells their form. An object of up to 1 MiB is one blob. A
// longer one is cut into blobs of 1 MiB and has a list: its size as uint64, then the SHA-256 of each of them; the list's
// digest is the whole object's.
const (
	headSize  = frame.HeadSize
	chunkSize = frame.Most
	maxChunks = (chunkSize - 8) / sha256.Size // 32 GiB
)

const (
	blob = frame.Blob
	list = frame.List
)

type (
	sum256 = frame.Sum
	key    = frame.Key
	head   = frame.Head
)

// place is where a frame starts. Packs are far smaller than 4 GiB.
type place struct {
	pack   uint32 // number in Store.packs; the top bit is set once the payload's checksum is known to be right
	offset uint32
}

const proven = 1 << 31

func (p place) number() int { return int(p.pack &^ proven) }
