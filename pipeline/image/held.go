package image

import (
	"fmt"
	"sync"
)

// Held is an image that lies unpacked on this machine, and stays there until it is released.
type Held struct {
	Digest  string   // what the reference named when it was resolved
	Ref     string   // "name@sha256:…", where it is kept by whoever runs it; it has no layers then
	Layers  []string // folders, the lowest first, in the form that overlayfs takes as lower ones
	Env     []string // "NAME=value", as the image sets it
	Program Program  // what a container of it would run
	Size    int64    // bytes of all layers
	Release func()   // lets it be removed again; may be called twice
}

// Program is what an image says of itself: what is run in it, as whom and where. A step has its own; a service takes it.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
type Program struct {
	Entrypoint []string `json:"entrypoint,omitempty"`
	Command    []string `json:"command,omitempty"` // arguments of the entrypoint, or the program when there is none
	User       string   `json:"user,omitempty"`
	Dir        string   `json:"dir,omitempty"`
}

// NewHeld makes release harmless when it is called twice.
func NewHeld(h Held, release func()) Held {
	h.Release = sync.OnceFunc(release)
	return h
}

// Progress is how far a pull has come.
type Progress struct {
	Layers, Of int
	Bytes      int64 // of what came over the wire, or out of the file
}

// String is the progress in words: "3 of 5 layers, 40 MB".
func (p Progress) String() string {
	return fmt.Sprintf("%d of %d layers, %s", p.Layers, p.Of, Bytes(p.Bytes))
}

// Bytes is a size for people, in the units in which registries tell sizes.
func Bytes(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}
