package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// MaxManifest bounds an encoded manifest in bytes: enough for 200,000 files with paths of 200 bytes.
const MaxManifest = 64 << 20

// Decode reads a manifest whose bytes were already verified against their digest, and checks it. Only the canonical
// form is accepted, so that a manifest has exactly one digest. A file that is not a manifest is ErrNotFound.
func Decode(b []byte) (Manifest, error) {
	if len(b) > MaxManifest {
		return Manifest{}, fmt.Errorf("%w: what is stored is a file of %d bytes, not a manifest", ErrNotFound, len(b))
	}
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("%w: what is stored is a file, not a manifest", ErrNotFound)
	}
	if !bytes.Equal(m.Encode(), b) {
		return Manifest{}, fmt.Errorf("%w: the manifest is not in its canonical form", ErrUnsafe)
	}
	// The caller's limits belong to what it does with the files, so only the form is checked here.
	huge := Limits{Files: len(m.Files) + 1, Bytes: 1 << 62, File: 1 << 62}
	if err := m.Check(huge); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// Verify returns a reader of r that fails with ErrCorrupt instead of io.EOF when the bytes do not have the digest.
func Verify(r io.ReadCloser, digest pipeline.Digest) io.ReadCloser {
	return &verifier{r: r, want: digest, sum: sha256.New()}
}

type verifier struct {
	r    io.ReadCloser
	want pipeline.Digest
	sum  hash.Hash
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.sum.Write(p[:n])
	if err == io.EOF && Sum(v.sum) != v.want {
		err = fmt.Errorf("%w: %s", ErrCorrupt, v.want)
	}
	return n, err
}

func (v *verifier) Close() error { return v.r.Close() }

// Sum is the digest of all that was written to a SHA-256 hash.
func Sum(h hash.Hash) pipeline.Digest {
	return pipeline.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// DigestOf is the digest of the bytes.
func DigestOf(b []byte) pipeline.Digest {
	sum := sha256.Sum256(b)
	return pipeline.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// ReadWhole fills b and reads the end behind it, which is where a file that grew is found out.
func ReadWhole(r io.Reader, b []byte) error {
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	var one [1]byte
	if n, err := r.Read(one[:]); n != 0 {
		return fmt.Errorf("more bytes came than were announced")
	} else if err != io.EOF {
		return err
	}
	return nil
}
