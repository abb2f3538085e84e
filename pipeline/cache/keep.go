package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/layers"
)

// What Keep refuses.
var (
	ErrTooBig = errors.New("cache: it is larger than half of what all caches may have")
	ErrSecret = errors.New("cache: it holds the value of a secret, and others may read it")
	errThere  = errors.New("cache: the key is there already")
)

// Keep makes an entry of what the folders hold now, under the key that was asked for. The step must be over; the folders
// are of no use for it any more. When the key names an entry already, that one stays. It is refused with ErrMayNot when
// the run may not fill the cache, and with ErrSecret when a file holds one of the words that must not be in it: code from
// outside may read what is kept.
//
// What is no file, folder or link is left out. The order is: the files are on the disk, then they have their name, then
// the key names them. So a crash leaves no key of what is not whole.
func (l *Lent) Keep(ctx context.Context, never ...string) (size int64, err error) {
	if !l.asker.Fills || l.asker.Trust < pipeline.Writer {
		return 0, ErrMayNot
	}
	if l.Exact || l.closed {
		return 0, nil
	}
	s := l.store
	digest, size, files, err := l.measure(ctx, newScan(never))
	if err != nil {
		return 0, err
	}
	if !s.hold(digest) {
		if err := l.store.put(ctx, l, digest, size); err != nil {
			return 0, err
		}
	}
	defer s.leave(digest)
	r := record{Digest: digest, Size: size, Files: files, Saved: s.opts.Now().UTC()}
	if err := s.point(name{l.asker.Repository, l.key.Family, l.key.Name}, r); err != nil && !errors.Is(err, errThere) {
		return 0, err
	}
	s.evict(0)
	return size, nil
}

// measure reads all that the folders hold, and takes out what cannot be kept.
func (l *Lent) measure(ctx context.Context, look *scan) (digest string, size int64, files int, err error) {
	sum := sha256.New()
	for i, f := range l.Folders {
		fmt.Fprintf(sum, "folder %d\n", i)
		err = filepath.WalkDir(f.Source, func(path string, e fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil || path == f.Source {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(f.Source, path)
			if err != nil {
				return err
			}
			files++
			switch {
			case e.IsDir():
				fmt.Fprintf(sum, "d %o %q\n", info.Mode().Perm(), rel)
			case e.Type()&fs.ModeSymlink != 0:
				to, err := os.Readlink(path)
				fmt.Fprintf(sum, "l %q %q\n", rel, to)
				return err
			case e.Type().IsRegular():
				if size += info.Size(); size > l.store.opts.Size/2 {
					return ErrTooBig
				}
				fmt.Fprintf(sum, "f %o %d %q ", info.Mode().Perm(), info.Size(), rel)
				if err := addFile(sum, path, look); err != nil || !look.found {
					return err
				}
				return ErrSecret
			default: // a socket, a pipe, a device: no file that anyone could use later
				return os.Remove(path)
			}
			return nil
		})
		if err != nil {
			return "", 0, 0, fmt.Errorf("cache: read %s: %w", f.Target, err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), size, files, nil
}

// addFile adds a file's content to a sum, so that no other content gives the same one.
func addFile(sum hash.Hash, path string, look *scan) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	own := sha256.New()
	look.next()
	if _, err := io.Copy(io.MultiWriter(own, look), f); err != nil {
		return err
	}
	fmt.Fprintf(sum, "%x\n", own.Sum(nil))
	return nil
}

// hold takes an entry that is there for one more user.
func (s *Store) hold(digest string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[digest]
	if e != nil {
		e.users++
	}
	return e != nil
}

// put makes the entry, with one user. What nobody else stands on is moved, what lies on another entry is copied.
func (s *Store) put(ctx context.Context, l *Lent, digest string, size int64) error {
	s.evict(size)
	made := s.path("work", l.id, "entry")
	if err := os.Mkdir(made, 0o700); err != nil {
		return fmt.Errorf("cache: make an entry: %w", err)
	}
	for i, f := range l.Folders {
		to := filepath.Join(made, strconv.Itoa(i))
		var err error
		if f.Writes == f.Source {
			err = os.Rename(f.Source, to)
		} else {
			err = layers.Copy(ctx, f.Source, to, s.opts.Owner)
		}
		if err != nil {
			return fmt.Errorf("cache: make an entry of %s: %w", f.Target, err)
		}
	}
	if err := syncAll(made); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[digest]; e != nil { // a neighbour was quicker
		e.users++
		return nil
	}
	if err := os.Rename(made, s.path(entryFolder(digest))); err != nil {
		return fmt.Errorf("cache: name an entry: %w", err)
	}
	s.entries[digest] = &entry{size: size, users: 1}
	s.total += size
	return nil
}

// syncAll waits until a folder is on the disk, with everything else on its file system.
func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cache: make an entry last: %w", err)
	}
	if err := errors.Join(unix.Syncfs(int(f.Fd())), f.Close()); err != nil {
		return fmt.Errorf("cache: make an entry last: %w", err)
	}
	return nil
}

// point writes a key's record, once.
func (s *Store) point(n name, r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("cache: write a key: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records[n] != nil {
		return errThere
	}
	path := s.path(n.file())
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("cache: write a key: %w", err)
	}
	f, err := os.CreateTemp(s.path("work"), "key-")
	if err != nil {
		return fmt.Errorf("cache: write a key: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close(), os.Chtimes(f.Name(), r.Saved, r.Saved)); err == nil { // see find
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("cache: write a key: %w", errors.Join(err, os.Remove(f.Name())))
	}
	s.moment++
	r.used = s.moment
	s.records[n] = &r
	return nil
}
