package static

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// releaseForm is the form of the names that are ours. Nothing else in releases is ever removed.
var releaseForm = regexp.MustCompile(`^[0-9]{14}-[0-9a-f]{12}-[0-9a-f]{8}$`)

// swap makes current point to a release. The new link takes the old one's name with one rename: there is no moment
// without a current.
func (t *Target) swap(p place, release string) error {
	next := filepath.Join(p.own(), "next")
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(filepath.Join("releases", release), next); err != nil {
		return err
	}
	t.point("link made")
	return os.Rename(next, p.link())
}

// current is the name of the release that is served, or "".
func (p place) current() string {
	to, err := os.Readlink(p.link())
	if err != nil {
		return ""
	}
	name, ok := strings.CutPrefix(to, "releases/")
	if !ok || !releaseForm.MatchString(name) {
		return ""
	}
	return name
}

// names lists the releases, the oldest first.
func (p place) names() (names []string) {
	entries, err := os.ReadDir(p.releases())
	if err != nil {
		return nil // none yet
	}
	for _, e := range entries {
		if e.IsDir() && releaseForm.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

// complete is the newest release that is of this digest, or "". A release that has its name is complete.
func (p place) complete(digest pipeline.Digest) string {
	for _, name := range slices.Backward(p.names()) {
		if m, err := readMarker(p.release(name)); err == nil && m.Digest == digest {
			return name
		}
	}
	return ""
}

// prune removes the oldest releases until p.keep are left, but never one of those spared. It returns what it removed; what
// cannot be removed now is tried again after the next switch.
func (p place) prune(spared ...string) (gone []string) {
	names := p.names()
	for _, name := range names {
		if len(names)-len(gone) <= p.keep {
			break
		}
		if slices.Contains(spared, name) {
			continue
		}
		if p.discard(name) == nil {
			gone = append(gone, name)
		}
	}
	return gone
}

// discard removes a release. It loses its name first, so that a crash in the middle leaves no half release that looks
// complete.
func (p place) discard(name string) error {
	doomed := p.release(name) + ".old.partial"
	if err := os.Rename(p.release(name), doomed); err != nil {
		return err
	}
	return os.RemoveAll(doomed)
}

// sweep removes what crashed deployments left: partials whose maker no longer holds their lock.
func (p place) sweep() {
	entries, err := os.ReadDir(p.releases())
	if err != nil {
		return
	}
	for _, e := range entries {
		release, _, _ := strings.Cut(e.Name(), ".")
		if !e.IsDir() || !releaseForm.MatchString(release) || !strings.HasSuffix(e.Name(), ".partial") {
			continue
		}
		path := p.release(e.Name())
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(path) // tried again by the next sweep
		}
		_ = f.Close()
	}
}

// removeReleases removes everything of ours. Deployments that still stage keep their partials; they are fenced off, and
// take them away themselves.
func (p place) removeReleases() error {
	p.sweep()
	for _, name := range p.names() {
		if err := p.discard(name); err != nil {
			return err
		}
	}
	if err := os.Remove(p.releases()); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
		return err
	}
	return nil
}
