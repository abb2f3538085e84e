package artifact

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Keep stores one file's bytes and returns their digest. Gather calls it from several goroutines. A Keep that does not
// read to io.EOF must fail: only the end proves that the file held still.
type Keep func(r io.Reader, size int64) (pipeline.Digest, error)

// Gather finds the files below root that match, checks them all against the limits and the rules of Manifest.Check,
// and only then hands their bytes to keep: what is refused costs the store nothing. The workspace may be hostile and
// may change while it is read; at worst that is an error. Times, owners and the order of folders have no influence.
func Gather(ctx context.Context, root string, declared []string, limits Limits, keep Keep) (Manifest, error) {
	return gather(ctx, root, declared, limits, keep, &walk{})
}

// gather does it with a walk that may know something beforehand, and leaves in it what was found.
func gather(ctx context.Context, root string, declared []string, limits Limits, keep Keep, w *walk) (Manifest, error) {
	limits = limits.OrDefault()
	globs, err := parseGlobs(declared)
	if err != nil {
		return Manifest{}, err
	}
	top, err := openRoot(root)
	if err != nil {
		return Manifest{}, err
	}
	defer top.close()

	w.ctx, w.globs, w.limits = ctx, globs, limits
	if err := w.folder(top, w.over, "", 0); err != nil {
		return Manifest{}, err
	}
	if len(w.found) == 0 {
		return Manifest{}, w.empty(declared)
	}
	if err := w.check(); err != nil {
		return Manifest{}, err
	}
	if err := keepAll(ctx, top, w.found, keep); err != nil {
		return Manifest{}, err
	}
	m := w.manifest()
	// The digests are new, everything else was checked; checking again is cheap and proves keep's answers well-formed.
	return m, m.Check(limits)
}

func (w *walk) manifest() Manifest {
	var m Manifest
	for _, f := range w.found {
		m.Files = append(m.Files, f.File)
	}
	slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return m
}

// check applies the manifest's rules before any byte is read, with a stand-in for the digests.
func (w *walk) check() error {
	m := w.manifest()
	for i := range m.Files {
		if m.Files[i].Link == "" && m.Files[i].Digest == "" {
			m.Files[i].Digest = standIn
		}
	}
	return m.Check(w.limits)
}

var standIn = pipeline.Digest("sha256:" + strings.Repeat("0", 64))

// batchFiles is how many files of one folder a worker takes at once: enough to pay for opening the folder, few enough
// to spread the work.
const batchFiles = 32

// keepAll reads the found files with one worker per processor and fills in their digests.
func keepAll(ctx context.Context, top folder, found []file, keep Keep) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches := make(chan []*file)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(found)) {
		workers.Go(func() {
			for batch := range batches {
				if err := keepBatch(ctx, top, batch, keep); err != nil {
					cancel(err)
				}
			}
		})
	}
	var batch []*file
	send := func() {
		if len(batch) == 0 {
			return
		}
		select {
		case batches <- batch:
		case <-ctx.Done():
		}
		batch = nil
	}
	for i := range found {
		f := &found[i]
		if f.Link != "" || f.Digest != "" {
			continue
		}
		if len(batch) == batchFiles || len(batch) > 0 && batch[0].folder != f.folder {
			send()
		}
		batch = append(batch, f)
	}
	send()
	close(batches)
	workers.Wait()
	return context.Cause(ctx)
}

func keepBatch(ctx context.Context, top folder, batch []*file, keep Keep) error {
	d, err := top.descend(batch[0].folder)
	if err != nil {
		return fmt.Errorf("open the folder %q: %w", batch[0].folder, err)
	}
	defer d.close()
	for _, f := range batch {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := keepFile(ctx, d, f, keep); err != nil {
			return fmt.Errorf("read %q: %w", f.Path, err)
		}
	}
	return nil
}

func keepFile(ctx context.Context, d folder, f *file, keep Keep) error {
	r, err := d.regular(f.name(), f.identity, f.Size)
	if err != nil {
		return err
	}
	defer r.Close()
	f.Digest, err = keep(&steady{r: r, left: f.Size, stop: func() error { return context.Cause(ctx) }}, f.Size)
	return err
}
