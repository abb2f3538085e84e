// Package static publishes an artifact's files in a folder that a web server serves.
//
// The layout of a place is
//
//	<root>/current → releases/<utc14>-<commit12>-<deployment8>   what is served; switched with one rename
//	<root>/releases/…                                            complete releases, the newest few of them
//	<root>/.cd/{token, journal.jsonl}                            whom the place belongs to, and what was done to it
//
// The web server's document root is <root>/current. Each release says what it is in .well-known/release. Nothing is ever
// changed in a release that has its name, and current never points to anything else than a complete release.
//
// The package never runs anything, never follows a link out of a place, and publishes only below folders that the
// operator has named. Start reading at Deploy; which folder a deployment means is decided in place.go.
package static

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/conveyor-ci/conveyor/deploy/target"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// Options are what the operator decides.
type Options struct {
	Base  string           // relative roots lie below this folder; it is made when it is missing
	Roots []string         // absolute folders below which absolute roots are allowed; none by default
	Keep  int              // releases that stay where the settings name no "keep", 5 when 0; the served one and the one before it always do
	Now   func() time.Time // the system's clock when nil
}

// Target publishes in folders. It holds no state of its own: several servers may publish on one disk.
type Target struct {
	base  string
	roots []string
	keep  int
	now   func() time.Time
	at    func(point string) // told of each point where a crash could happen; nil outside of tests
}

var _ target.Target = (*Target)(nil)

// New checks the operator's folders.
func New(o Options) (*Target, error) {
	if !filepath.IsAbs(o.Base) {
		return nil, fmt.Errorf("static: the folder of relative roots, %q, is not absolute", o.Base)
	}
	if err := mkdirPublic(filepath.Clean(o.Base)); err != nil {
		return nil, fmt.Errorf("static: make the folder of relative roots: %w", err)
	}
	t := &Target{base: filepath.Clean(o.Base), keep: o.Keep, now: o.Now}
	for _, root := range o.Roots {
		if root = filepath.Clean(root); !filepath.IsAbs(root) || root == "/" {
			return nil, fmt.Errorf("static: %q cannot be published to: give absolute folders, and not the whole disk", root)
		}
		t.roots = append(t.roots, root)
	}
	if t.keep < 1 {
		t.keep = 5
	}
	if t.now == nil {
		t.now = time.Now
	}
	return t, nil
}

// Deploy stages a release, then switches to it. Staging holds no lock, so that a server which hangs there never keeps a
// newer one out; what was staged is switched to only when no higher token has been seen meanwhile. A release of the same
// digest that is still there is used again.
func (t *Target) Deploy(ctx context.Context, d target.Deployment, files target.Files) error {
	d = audible(d)
	if d.ID == "" || !d.Digest.Valid() || !d.Commit.Valid() {
		return fmt.Errorf("%w: the deployment does not say what it is", target.ErrRefused)
	}
	p, err := t.place(d)
	if err != nil {
		return err
	}
	release, partial, err := t.begin(ctx, p, d)
	if err != nil {
		return err
	}
	if partial != nil {
		defer partial.discard()
		fmt.Fprintf(d.Log, "Laying out %s in %s\n", d.Digest.Short(), p.release(release))
		if err := t.stage(ctx, partial, d, files); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(d.Log, "%s is still there as %s\n", d.Digest.Short(), p.release(release))
	}
	return t.finish(ctx, p, d, release, partial)
}

// begin claims the place and names the release: the complete one of this digest, or the one that this deployment began
// before a crash, or a new one. A partial is there when something has to be staged.
func (t *Target) begin(ctx context.Context, p place, d target.Deployment) (release string, _ *partial, err error) {
	c, err := t.claim(ctx, p, d, false)
	if err != nil {
		return "", nil, err
	}
	defer c.unlock()
	if err := p.servable(); err != nil {
		return "", nil, err
	}
	if err := mkdirPublic(p.releases()); err != nil {
		return "", nil, fmt.Errorf("static: %w", err)
	}
	p.sweep()
	if release = p.complete(d.Digest); release != "" {
		return release, nil, nil
	}
	if release = c.began(d); release == "" {
		release = name(t.now(), d)
	}
	if err := c.note(entry{Step: "stage", Release: release}); err != nil {
		return "", nil, err
	}
	partial, err := p.partial(release)
	t.point("partial made")
	return release, partial, err
}

// finish gives the release its name and switches to it, if the place still belongs to this deployment.
func (t *Target) finish(ctx context.Context, p place, d target.Deployment, release string, staged *partial) error {
	c, err := t.claim(ctx, p, d, false)
	if err != nil {
		return err
	}
	defer c.unlock()
	if staged != nil {
		if err := c.note(entry{Step: "place", Release: release}); err != nil {
			return err
		}
		if err := staged.become(p.release(release)); err != nil {
			return fmt.Errorf("static: give the release its name: %w", err)
		}
		t.point("placed")
	} else if p.complete(d.Digest) != release {
		return fmt.Errorf("static: %s was removed while it was deployed again; deploy it once more", p.release(release))
	}
	before := p.current()
	if before == release {
		before = c.before(release) // a crash came after the switch
	}
	if err := c.note(entry{Step: "switch", Release: release, Before: before}); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err // the last moment at which it can be called off
	}
	if err := t.swap(p, release); err != nil {
		return fmt.Errorf("static: switch to %s: %w", release, err)
	}
	t.point("switched")
	if err := syncFolder(p.root); err != nil {
		return fmt.Errorf("static: %w", err)
	}
	fmt.Fprintf(d.Log, "%s → releases/%s\n", p.link(), release)
	if err := c.note(entry{Step: "prune", Release: release}); err != nil {
		return err
	}
	for _, gone := range p.prune(release, before) {
		fmt.Fprintf(d.Log, "Removed the old release %s\n", gone)
	}
	t.point("pruned")
	return c.note(entry{Step: "done", Release: release})
}

// Probe reads what the served release says of itself.
func (t *Target) Probe(ctx context.Context, d target.Deployment) (pipeline.Digest, error) {
	if err := context.Cause(ctx); err != nil {
		return "", err
	}
	p, err := t.place(d)
	if err != nil {
		return "", err
	}
	m, err := readMarker(p.link())
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(p.link()); errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		return "", fmt.Errorf("static: %s is not a release of ours: it has no %s", p.link(), markerPath)
	}
	if err != nil {
		return "", fmt.Errorf("static: ask %s what it is: %w", p.link(), err)
	}
	return m.Digest, nil
}

// Remove takes current away, then the releases. The token stays, so that a deployment of before cannot bring the place
// back.
func (t *Target) Remove(ctx context.Context, d target.Deployment) error {
	d = audible(d)
	p, err := t.place(d)
	if err != nil {
		return err
	}
	c, err := t.claim(ctx, p, d, true)
	if err != nil {
		return err
	}
	defer c.unlock()
	if err := p.servable(); err != nil {
		return err
	}
	if err := c.note(entry{Step: "remove"}); err != nil {
		return err
	}
	if err := os.Remove(p.link()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("static: take %s down: %w", p.link(), err)
	}
	t.point("link removed")
	if err := syncFolder(p.root); err != nil {
		return fmt.Errorf("static: %w", err)
	}
	if err := p.removeReleases(); err != nil {
		return fmt.Errorf("static: %w", err)
	}
	t.point("releases removed")
	fmt.Fprintf(d.Log, "%s is taken down\n", p.link())
	return c.note(entry{Step: "removed"})
}

func (t *Target) point(name string) {
	if t.at != nil {
		t.at(name)
	}
}

// audible is d with somewhere to write to.
func audible(d target.Deployment) target.Deployment {
	if d.Log == nil {
		d.Log = io.Discard
	}
	return d
}

// marker is what a release says of itself, to whoever verifies it over HTTP.
type marker struct {
	Digest     pipeline.Digest `json:"digest"`
	Commit     pipeline.Commit `json:"commit"`
	Deployment string          `json:"deployment"`
}

// markerPath is served with the site, so that a check from outside can tell a new release from a healthy old one.
const markerPath = ".well-known/release"

// readMarker reads the marker of the release in dir.
func readMarker(dir string) (m marker, err error) {
	f, err := os.Open(filepath.Join(dir, markerPath))
	if err != nil {
		return m, err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, 64<<10)).Decode(&m); err != nil {
		return m, err
	}
	if !m.Digest.Valid() {
		return m, fmt.Errorf("%s holds no digest", markerPath)
	}
	return m, nil
}
