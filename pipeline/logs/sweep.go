package logs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Keep says which logs stay. A zero field keeps all.
type Keep struct {
	Since time.Time // those that were written to at this time or later
	Bytes int64     // of all logs together: the oldest go first
}

// Swept is what a sweep has removed.
type Swept struct {
	Logs  int
	Bytes int64
}

// stored is a log that a sweep may remove.
type stored struct {
	name    string
	written time.Time
	bytes   int64
}

// Sweep removes whole logs, the oldest first: those that are too old, and more while all together have too many bytes. may is
// asked before a log is removed; a log that is being written is not. That a log was there stays known, see Removed.
func (s *Store) Sweep(ctx context.Context, keep Keep, may func(name string) bool) (swept Swept, err error) {
	all, total, err := s.list(ctx)
	if err != nil {
		return swept, err
	}
	slices.SortFunc(all, func(a, b stored) int { return a.written.Compare(b.written) })
	for _, l := range all {
		old := !keep.Since.IsZero() && l.written.Before(keep.Since)
		if !old && (keep.Bytes <= 0 || total <= keep.Bytes) {
			break
		}
		if err := ctx.Err(); err != nil {
			return swept, err
		}
		if !may(l.name) {
			continue
		}
		done, err := s.remove(l.name)
		if err != nil {
			return swept, fmt.Errorf("logs: remove %s: %w", l.name, err)
		}
		if done {
			total -= l.bytes
			swept.Logs++
			swept.Bytes += l.bytes
		}
	}
	return swept, nil
}

func (s *Store) list(ctx context.Context) (all []stored, total int64, err error) {
	err = fs.WalkDir(s.root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		name, log := strings.CutSuffix(p, logEnding)
		if d.IsDir() || !log {
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		all = append(all, stored{name, info.ModTime(), info.Size()})
		total += info.Size()
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("logs: list what is stored: %w", err)
	}
	return all, total, nil
}

// goneNote stands beside the logs of which one was removed. No part of a log's name can be like it: attempts are numbers, and
// steps have no dot.
const goneNote = "removed.at"

func noteOf(name string) string { return path.Join(path.Dir(path.Dir(name)), goneNote) }

// remove takes away one log that nobody writes. Its end goes first, so that what a crash leaves is not complete.
func (s *Store) remove(name string) (bool, error) {
	if s.writing(name) != nil {
		return false, nil
	}
	f, err := s.root.Open(name + logEnding)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }() // it was only read
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return false, nil // another process writes it
	}
	if err := s.root.WriteFile(noteOf(name), []byte(time.Now().UTC().Format(time.RFC3339)), 0o600); err != nil {
		return false, err
	}
	for _, ending := range []string{endEnding, logEnding, indexEnding} {
		if err := s.root.Remove(name + ending); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	_ = s.root.Remove(path.Dir(name)) // when it was the last one
	return true, nil
}

// Removed reports whether logs beside this one, or itself, were removed by a sweep, and when the last was.
func (s *Store) Removed(name string) (at time.Time, removed bool) {
	if checkName(name) != nil {
		return at, false
	}
	if _, err := s.root.Stat(name + logEnding); !errors.Is(err, os.ErrNotExist) {
		return at, false
	}
	b, err := s.root.ReadFile(noteOf(name))
	if err != nil {
		return at, false
	}
	at, err = time.Parse(time.RFC3339, string(b))
	return at, err == nil
}

// Names lists the logs whose names begin with these parts, in order.
func (s *Store) Names(below string) (names []string, err error) {
	if err := checkName(below); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	err = fs.WalkDir(s.root.FS(), below, func(p string, d fs.DirEntry, err error) error {
		if name, log := strings.CutSuffix(p, logEnding); err == nil && log && !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, below)
	}
	return names, err
}
