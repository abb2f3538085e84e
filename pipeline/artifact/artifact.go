// Package artifact keeps what runs made, named by its content.
//
// An artifact is a manifest: the list of its files with the SHA-256 of each. The manifest's own SHA-256 is the artifact's
// name, so the same bytes always have the same name and are stored once. Everything is verified on every read; what does
// not match its name is refused, never served. The adapters are dir and memory; artifacttest proves them.
//
// What every adapter shares stands here, too: Gather reads a workspace that may be hostile, Decode and Manifest.Check
// refuse a manifest that could leave its folder, Verify checks bytes while they are read, Lay writes an artifact out.
// Start reading at Store.
package artifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// What the caller decides on.
var (
	ErrNotFound = errors.New("artifact: nothing is stored under this digest")
	ErrCorrupt  = errors.New("artifact: the stored bytes do not match their digest")
	ErrTooBig   = errors.New("artifact: over the declared limit")
	ErrUnsafe   = errors.New("artifact: holds a path or file that could leave its folder")
	ErrEmpty    = errors.New("artifact: no file matches the declared paths")
)

// Store keeps artifacts. All methods may be called concurrently and repeated.
type Store interface {
	// Put stores the files below root that match the globs (doublestar, relative, slashes) and returns their manifest.
	// Folders, links, devices and sockets: links that stay inside root are stored as links, everything else that is not
	// a regular file or folder is ErrUnsafe. It returns after the bytes are durable.
	Put(ctx context.Context, root string, globs []string, limits Limits) (Manifest, error)

	// Manifest reads an artifact's manifest, verified against its digest.
	Manifest(ctx context.Context, digest pipeline.Digest) (Manifest, error)

	// Open reads one file of an artifact by its content digest. The reader fails with ErrCorrupt, at the latest at its
	// end, when the bytes do not match.
	Open(ctx context.Context, file pipeline.Digest) (io.ReadCloser, error)

	// Extract lays the artifact out below dir, which must be empty or absent. On error nothing of it is left in dir.
	Extract(ctx context.Context, digest pipeline.Digest, dir string, limits Limits) (Manifest, error)
}

// Limits bound what is stored or laid out. Zero fields take the defaults of DefaultLimits.
type Limits struct {
	Files int   // number of entries
	Bytes int64 // sum of file sizes
	File  int64 // one file
}

// OrDefault fills the zero fields from DefaultLimits.
func (l Limits) OrDefault() Limits {
	if l.Files <= 0 {
		l.Files = DefaultLimits.Files
	}
	if l.Bytes <= 0 {
		l.Bytes = DefaultLimits.Bytes
	}
	if l.File <= 0 {
		l.File = DefaultLimits.File
	}
	return l
}

// DefaultLimits are generous for a site or a service, and small enough to keep a disk.
var DefaultLimits = Limits{Files: 200_000, Bytes: 4 << 30, File: 2 << 30}

// File is one entry of a manifest.
type File struct {
	Path   string          `json:"path"`             // relative, slashes, clean
	Mode   uint32          `json:"mode"`             // 0o644 or 0o755; 0 for a link
	Size   int64           `json:"size"`             // bytes
	Digest pipeline.Digest `json:"digest,omitempty"` // of the content; empty for a link
	Link   string          `json:"link,omitempty"`   // a link's target, relative and staying inside
}

// Manifest lists an artifact's files, sorted by path.
type Manifest struct {
	Files []File `json:"files"`
}

// Encode is the one canonical form, of which Digest is taken.
func (m Manifest) Encode() []byte {
	byPath := func(a, b File) int { return strings.Compare(a.Path, b.Path) }
	if !slices.IsSortedFunc(m.Files, byPath) {
		m.Files = slices.SortedFunc(slices.Values(m.Files), byPath) // a copy: the caller's slice may be shared
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		panic(fmt.Sprintf("artifact: a manifest of plain fields did not encode: %v", err))
	}
	return b.Bytes()
}

// Digest is the artifact's name.
func (m Manifest) Digest() pipeline.Digest {
	sum := sha256.Sum256(m.Encode())
	return pipeline.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// Size is the sum of all file sizes in bytes.
func (m Manifest) Size() int64 {
	var n int64
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}
