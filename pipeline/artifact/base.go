package artifact

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Base says of a workspace that it is an overlay: a folder that nobody can write to, and over it what the step wrote. What the
// step has not written is what it was the last time that a workspace began with the same folder, and need not be read again.
//
// That is known from the overlay alone. Neither times nor numbers of files are asked: those who may write a file can set
// the one, and reuse the other.
type Base struct {
	Name    string // of what lies below: the same name is the same files, for ever
	Written string // the overlay's upper folder, which holds all that differs, and which no step can reach but through the mount
	Folder  string // where in the overlay the folder is that is stored; "" is its root
}

// key names what is known of a folder of a base.
func (b Base) key() string { return b.Name + "\x00" + b.Folder }

// seen says whether this process sees what the kernel has written on the upper folders. Others would be told that nothing is
// there, so that for them nothing is known.
func seen() bool {
	users, err := os.ReadFile("/proc/self/uid_map")
	if err != nil || strings.Join(strings.Fields(string(users)), " ") != "0 0 4294967295" {
		return false
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var may [2]unix.CapUserData
	return unix.Capget(&head, &may[0]) == nil && may[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// OverStore is a Store that makes use of a Base. PutOver is Put, and gives the same manifest.
type OverStore interface {
	PutOver(ctx context.Context, root string, base Base, globs []string, limits Limits) (Manifest, error)
}

// Has says whether a store has a content. If so, it stays there as if it had just been stored.
type Has func(digest pipeline.Digest, size int64) bool

// Gather is Gather for a workspace that lies over a base. What the step has not written, and is known and still there, is not
// read.
func (k *Known) Gather(ctx context.Context, root string, base Base, declared []string, limits Limits, keep Keep, has Has) (Manifest, error) {
	if !seen() {
		return Gather(ctx, root, declared, limits, keep)
	}
	over, err := base.open()
	if err != nil {
		return Manifest{}, fmt.Errorf("open what the step has written: %w", err)
	}
	defer over.close()
	w := walk{over: over, known: k.of(base.key()), has: has}
	m, err := gather(ctx, root, declared, limits, keep, &w)
	if err == nil {
		k.learn(base.key(), w.found, w.known)
	}
	return m, err
}

// mostKnown is how many files are remembered, of all bases together: a hundred bytes each, and their paths.
const mostKnown = 1 << 16

// Known remembers the digests of files that lie in bases. It is kept in memory: a server that has just started reads once more.
type Known struct {
	mu    sync.Mutex
	bases map[string]map[string]knownFile // by Base.key, then by path
	order []string                        // keys, the longest unused first
	files int
}

type knownFile struct {
	mode uint32
	size int64
	sum  [32]byte
}

func (f knownFile) digest() pipeline.Digest {
	return pipeline.Digest("sha256:" + hex.EncodeToString(f.sum[:]))
}

// of are the files that are known of a base. They are not to be changed.
func (k *Known) of(key string) map[string]knownFile {
	k.mu.Lock()
	defer k.mu.Unlock()
	if i := slices.Index(k.order, key); i >= 0 {
		k.order = append(slices.Delete(k.order, i, i+1), key)
	}
	return k.bases[key]
}

// learn notes the files of a base that a walk has seen unchanged. The oldest bases make room.
func (k *Known) learn(key string, found []file, before map[string]knownFile) {
	all := make(map[string]knownFile, max(len(found), len(before)))
	news := 0
	for i := range found {
		f := &found[i]
		if !f.below || f.Link != "" {
			continue
		}
		if _, there := before[f.Path]; there {
			continue
		}
		seen := knownFile{mode: f.Mode, size: f.Size}
		if _, err := hex.Decode(seen.sum[:], []byte(strings.TrimPrefix(string(f.Digest), "sha256:"))); err != nil {
			continue // no digest of ours
		}
		all[strings.Clone(f.Path)] = seen
		news++
	}
	if news == 0 {
		return
	}
	for path, f := range before {
		all[path] = f
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(key)
	if len(all) > mostKnown {
		return
	}
	for k.files+len(all) > mostKnown {
		k.forget(k.order[0])
	}
	if k.bases == nil {
		k.bases = map[string]map[string]knownFile{}
	}
	k.bases[key], k.order, k.files = all, append(k.order, key), k.files+len(all)
}

func (k *Known) forget(key string) {
	if i := slices.Index(k.order, key); i >= 0 {
		k.files -= len(k.bases[key])
		k.order = slices.Delete(k.order, i, i+1)
		delete(k.bases, key)
	}
}

// upper is one folder of an overlay's upper side, beside the folder of the workspace that is walked.
type upper struct {
	folder *folder         // nil where nothing was written here, nor anywhere below
	names  map[string]bool // what was written here
	all    bool            // nothing here is from below: the step made the folder, or has moved it here
}

// marks are what the kernel writes on an upper folder that does not show what lies below it, or shows another place. Inside
// the mount they cannot be seen nor set, and a step has no right to set the trusted ones.
var marks = []string{"trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.opaque", "user.overlay.redirect"}

// open opens the upper side of the folder that is stored.
func (b Base) open() (*upper, error) {
	f, err := openRoot(b.Written)
	if err != nil {
		return nil, err
	}
	at, err := listUpper(f)
	for name := range strings.SplitSeq(b.Folder, "/") {
		if err != nil || name == "" {
			break
		}
		next, failed := at.enter(name)
		at.close()
		at, err = next, failed
	}
	return at, err
}

func listUpper(f folder) (*upper, error) {
	u := &upper{folder: &f, names: map[string]bool{}}
	for _, mark := range marks {
		if n, err := unix.Fgetxattr(f.fd, mark, nil); n >= 0 && err == nil {
			u.all = true
			return u, nil
		} else if err != unix.ENODATA && err != unix.ENOTSUP {
			f.close()
			return nil, err
		}
	}
	for {
		names, err := f.file.Readdirnames(1024)
		for _, name := range names {
			u.names[name] = true
		}
		if err == io.EOF || err == nil && len(names) == 0 {
			return u, nil
		}
		if err != nil {
			f.close()
			return nil, err
		}
	}
}

// below says that an entry is as it lies below. A nil upper is a workspace of which that is never known.
func (u *upper) below(name string) bool { return u != nil && !u.all && !u.names[name] }

// enter is the upper side of a folder of this one.
func (u *upper) enter(name string) (*upper, error) {
	switch {
	case u == nil:
		return nil, nil
	case u.all:
		return &upper{all: true}, nil
	case !u.names[name]:
		return &upper{}, nil
	}
	f, err := u.folder.folder(name)
	if err != nil {
		return nil, err
	}
	return listUpper(f)
}

func (u *upper) close() {
	if u != nil && u.folder != nil {
		u.folder.close()
	}
}
