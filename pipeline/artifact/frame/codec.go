package frame

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/klauspost/compress/zstd"
)

// Encoder makes frames. It may be used by several goroutines.
type Encoder struct{ zstd *zstd.Encoder }

// NewEncoder makes an encoder, whose buffers go when it is closed.
func NewEncoder() (Encoder, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(Most),
		zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithEncoderCRC(false))
	if err != nil {
		return Encoder{}, fmt.Errorf("make an encoder: %w", err)
	}
	return Encoder{e}, nil
}

// Close gives its buffers back.
func (e Encoder) Close() { _ = e.zstd.Close() }

// Encode gives the head and the payload of a content, which is compressed where that pays. buf is the room for it, and is
// returned as it has grown.
func (e Encoder) Encode(kind byte, digest Sum, content, buf []byte) (h Head, payload, room []byte) {
	h = Head{Kind: kind, Codec: Raw, Raw: uint32(len(content)), Digest: digest}
	payload = content
	if kind == Blob { // digests do not compress
		buf = e.zstd.EncodeAll(content, buf[:0])
		if len(buf) < len(content)-len(content)/32 {
			h.Codec, payload = Zstd, buf
		}
	}
	h.Stored, h.Sum = uint32(len(payload)), Checksum(payload)
	return h, payload, buf
}

// Decoder reads frames. It may be used by several goroutines.
type Decoder struct{ zstd *zstd.Decoder }

// NewDecoder makes a decoder that never gives more than a frame may hold.
func NewDecoder() (Decoder, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(Most), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return Decoder{}, fmt.Errorf("make a decoder: %w", err)
	}
	return Decoder{d}, nil
}

// Close gives its buffers back.
func (d Decoder) Close() { d.zstd.Close() }

var errDecompress = errors.New("the payload does not decompress")

// Decode gives a copy of the content of a payload whose checksum is right. Whether it has the digest is for the caller to
// prove.
func (d Decoder) Decode(h Head, payload []byte) ([]byte, error) {
	content := make([]byte, 0, h.Raw)
	if h.Codec == Raw {
		return append(content, payload...), nil
	}
	content, err := d.zstd.DecodeAll(payload, content)
	if err != nil || len(content) != int(h.Raw) {
		return nil, errDecompress
	}
	return content, nil
}
