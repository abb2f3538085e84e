package box

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// diskWatch looks how much of the disk a step takes. File systems count for users and projects only where they were
// mounted so, which no server can expect; so the folder is counted here, and only when it can have reached its limit:
// as long as the whole file system has not grown by what the step has left, the step has not either.
//
// It is coarse: within one look a step can write what the disk takes in that time. A single file is bounded exactly, by
// its own limit (see rlimits).
type diskWatch struct {
	folders []string // the first one says which file system is asked
	limits  sandbox.Limits
	seen    taken // by the step, when it was counted last
	volume  taken // by everyone on the file system, at that time
	next    time.Time
}

// taken are bytes and entries of a file system.
type taken struct{ bytes, files int64 }

const (
	diskLook  = 200 * time.Millisecond // how often the file system is asked
	diskCount = 30 * time.Second       // how often a folder is counted whatever the file system says, for others may free what it takes
)

// WatchDisk closes full when the step has written more than it may. done ends the watch, and may be repeated.
func WatchDisk(ctx context.Context, spec sandbox.Spec, l sandbox.Limits) (full <-chan struct{}, done func()) {
	w := diskWatch{folders: []string{cmp.Or(spec.Writes, spec.Workspace)}, limits: l}
	for _, f := range spec.Folders {
		w.folders = append(w.folders, cmp.Or(f.Writes, f.Source))
	}
	var err error
	if w.volume, err = takenOf(w.folders[0]); err != nil {
		w.volume = taken{} // then it is counted at every look
	}
	w.next = time.Now()
	reached := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if w.watch(ctx) {
			close(reached)
		}
	}()
	return reached, func() {
		cancel()
		<-ended
	}
}

// watch returns when the folder has more than the limits allow, or ctx ends; exceeded says which.
func (w *diskWatch) watch(ctx context.Context) (exceeded bool) {
	looks := time.NewTicker(diskLook)
	defer looks.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case now := <-looks.C:
			if w.over(ctx, now) {
				return true
			}
		}
	}
}

func (w *diskWatch) over(ctx context.Context, now time.Time) bool {
	volume, err := takenOf(w.folders[0])
	if err != nil {
		return false // it is being taken away: the step has ended
	}
	grown := taken{w.seen.bytes + volume.bytes - w.volume.bytes, w.seen.files + volume.files - w.volume.files}
	if now.Before(w.next) || (!grown.over(w.limits) && now.Before(w.next.Add(diskCount))) {
		return false
	}
	seen := count(ctx, w.folders, w.limits)
	took := time.Since(now)
	w.seen, w.volume, w.next = seen, volume, now.Add(max(diskLook, 10*took)) // a tenth of one processor at most
	return seen.over(w.limits)
}

func (t taken) over(l sandbox.Limits) bool { return t.bytes > l.Disk || t.files > l.Files }

// takenOf asks the file system of a folder.
func takenOf(folder string) (taken, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return taken{}, fmt.Errorf("ask for the space that is taken: %w", err)
	}
	return taken{int64(s.Blocks-s.Bfree) * s.Bsize, int64(s.Files - s.Ffree)}, nil //nolint:unconvert // Bsize differs by architecture
}

// count adds up folders, as far as the limits go. What vanishes meanwhile does not count.
func count(ctx context.Context, folders []string, l sandbox.Limits) (t taken) {
	for _, folder := range folders {
		t.add(ctx, folder, l)
	}
	return t
}

func (t *taken) add(ctx context.Context, folder string, l sandbox.Limits) {
	_ = filepath.WalkDir(folder, func(_ string, e fs.DirEntry, err error) error {
		if ctx.Err() != nil || t.over(l) {
			return fs.SkipAll
		}
		if err != nil {
			return nil
		}
		t.files++
		if info, err := e.Info(); err == nil {
			if s, ok := info.Sys().(*syscall.Stat_t); ok {
				t.bytes += s.Blocks * 512
			}
		}
		return nil
	})
}
