package artifact

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// file is an entry that was found, with what is needed to open exactly it again.
type file struct {
	File
	folder   string
	identity identity
	below    bool // it is as it lies below the step's workspace
}

func (f *file) name() string { return f.Path[strings.LastIndexByte(f.Path, '/')+1:] }

// walk collects the matching entries of a workspace without reading any file.
type walk struct {
	ctx    context.Context
	globs  globs
	limits Limits
	found  []file
	total  int64
	over   *upper               // what the step has written, where that is known
	known  map[string]knownFile // what lies below it
	has    Has
	folded string // a folder that matched although only files do, for the hint when nothing else matched
}

// folder walks one folder. The entries of a folder come before those of its folders, so that a folder's files stand
// together.
func (w *walk) folder(d folder, over *upper, path string, depth int) error {
	if depth >= maxDepth {
		return fmt.Errorf("%w: %.80q is more than %d folders deep", ErrUnsafe, path, maxDepth)
	}
	var folders []string
	for {
		if err := context.Cause(w.ctx); err != nil {
			return err
		}
		entries, err := d.file.ReadDir(1024)
		if err != nil && err != io.EOF {
			return fmt.Errorf("list the folder %q: %w", path, err)
		}
		for _, e := range entries {
			name := e.Name()
			full := name
			if path != "" {
				full = path + "/" + name
			}
			isFolder, err := w.entry(d, name, full, path, e.Type(), over.below(name))
			if err != nil {
				return err
			}
			if isFolder && w.globs.enter(full) {
				folders = append(folders, name)
			}
		}
		if err == io.EOF || len(entries) == 0 {
			break
		}
	}
	for _, name := range folders {
		full := name
		if path != "" {
			full = path + "/" + name
		}
		sub, err := d.folder(name)
		if err != nil {
			return fmt.Errorf("open the folder %q: %w", full, err)
		}
		above, err := over.enter(name)
		if err == nil {
			err = w.folder(sub, above, full, depth+1)
			above.close()
		}
		sub.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// entry notes one entry when it matches, and tells whether it is a folder.
func (w *walk) entry(d folder, name, path, parent string, kind fs.FileMode, below bool) (bool, error) {
	// The kind that came with the listing saves a call per folder and per file that does not match; some file systems
	// do not tell it (fs.ModeIrregular), then the entry itself is asked.
	matches := w.globs.match(path)
	if kind == fs.ModeDir && !matches {
		return true, nil
	}
	if kind&fs.ModeIrregular == 0 && !matches {
		return false, nil
	}
	if known, ok := w.known[path]; ok && below && kind == 0 {
		if digest := known.digest(); w.has(digest, known.size) {
			f := File{Path: path, Mode: known.mode, Size: known.size, Digest: digest}
			return false, w.add(file{File: f, folder: parent, below: true})
		}
	}
	st, err := d.lstat(name)
	if err != nil {
		return false, err
	}
	f := file{File: File{Path: path}, folder: parent, identity: identityOf(st), below: below}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		if matches {
			w.folded = path
		}
		return true, nil
	case unix.S_IFREG:
		f.Size, f.Mode = st.Size, 0o644
		if st.Mode&0o100 != 0 {
			f.Mode = 0o755
		}
	case unix.S_IFLNK:
		if f.Link, err = d.readlink(name); err != nil {
			return false, err
		}
	default:
		if !matches {
			return false, nil
		}
		return false, fmt.Errorf("%w: %q is a device, a pipe or a socket", ErrUnsafe, path)
	}
	if !matches {
		return false, nil
	}
	return false, w.add(f)
}

// add counts against the limits at once, so that a hostile tree cannot make the list itself grow without bound.
func (w *walk) add(f file) error {
	if len(w.found) >= w.limits.Files {
		return fmt.Errorf("%w: more than %d files match", ErrTooBig, w.limits.Files)
	}
	if f.Size > w.limits.File {
		return fmt.Errorf("%w: %q has %d bytes, allowed are %d", ErrTooBig, f.Path, f.Size, w.limits.File)
	}
	if f.Size > w.limits.Bytes-w.total {
		return fmt.Errorf("%w: the files hold more than %d bytes together", ErrTooBig, w.limits.Bytes)
	}
	w.total += f.Size
	w.found = append(w.found, f)
	return nil
}

func (w *walk) empty(declared []string) error {
	list := "\"" + strings.Join(declared, "\", \"") + "\""
	if w.folded != "" {
		return fmt.Errorf("%w: %s; %q is a folder, write \"%s/**\" to take what is in it", ErrEmpty, list, w.folded, w.folded)
	}
	return fmt.Errorf("%w: %s", ErrEmpty, list)
}
