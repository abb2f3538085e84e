// Package image says what an image is: the file system in which a step runs in place of the tools of the host.
//
// It is the words and the contract: what an image may be called (Ref), what is held of one on this machine (Held), and
// whose doing it is when there is none (ErrNone, ErrRefused). It reaches for nothing; store pulls and keeps. Start
// reading at Parse.
package image

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Kind says where an image comes from.
type Kind int

// The kinds of references.
const (
	Registry Kind = iota // "node:20", "ghcr.io/octo/tools@sha256:…"
	Tarball              // "tarball:/srv/images/node.tar", as `docker save` writes it
	Layout               // "oci:/srv/images/node", a folder in OCI's form
)

// Ref is what a plan calls an image.
type Ref struct {
	Kind Kind
	Path string // of a tarball or a layout
	Name name.Reference
	text string
}

// String is the reference as it was written.
func (r Ref) String() string { return r.text }

// Pinned is the digest that the reference itself names, empty when it does not.
func (r Ref) Pinned() string {
	if d, ok := r.Name.(name.Digest); ok {
		return d.DigestStr()
	}
	return ""
}

// Mistake is a reference that cannot be read, in words for people.
type Mistake struct{ Message, Hint string }

func (m *Mistake) Error() string { return m.Message + "; " + m.Hint }

const usual = "write a name and a tag, for example node:20, or a digest: node@sha256:…"

// Parse reads a reference. Its error is a *Mistake. Nothing is asked of the world.
func Parse(text string) (Ref, error) {
	r := Ref{text: text}
	for prefix, kind := range map[string]Kind{"tarball:": Tarball, "oci:": Layout} {
		file, ok := strings.CutPrefix(text, prefix)
		if !ok || !strings.ContainsAny(file, "/.") && kind == Layout { // "oci:20" is an image that is called oci
			continue
		}
		if !path.IsAbs(file) || path.Clean(file) != file || file == "/" {
			return Ref{}, &Mistake{"names no absolute path", "write for example " + prefix + "/srv/images/node.tar; the operator says which folders may be read"}
		}
		r.Kind, r.Path = kind, file
		return r, nil
	}
	for _, scheme := range []string{"https://", "http://", "docker://"} {
		if rest, ok := strings.CutPrefix(text, scheme); ok {
			return Ref{}, &Mistake{"begins with " + scheme, "leave that out: " + rest}
		}
	}
	ref, err := name.ParseReference(text)
	if err != nil {
		return Ref{}, &Mistake{"is no name of an image", meant(text)}
	}
	r.Name = ref
	return r, nil
}

// meant guesses what was to be written.
func meant(text string) string {
	for _, guess := range []string{
		strings.ToLower(text), strings.ReplaceAll(text, " ", ""), strings.Replace(strings.TrimSpace(text), " ", ":", 1), strings.Replace(text, "@", ":", 1),
	} {
		if _, err := name.ParseReference(guess); err == nil && guess != text {
			return fmt.Sprintf("did you mean %q?", guess)
		}
	}
	return usual
}

// Errors that a caller decides on. Both are the plan's doing: trying again is of no use. Every other error is the
// infrastructure's.
var (
	// ErrNone says that there is no such image, or none that this server may have.
	ErrNone = errors.New("there is no such image, or this server may not have it")
	// ErrRefused says that there is one, and that it is not used: it is too large, for another machine, or hostile.
	ErrRefused = errors.New("the image is refused")
)
