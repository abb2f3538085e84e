// Package logs keeps what steps print: one append-only file per attempt of a step, below one directory.
//
// Secrets are masked before anything is written, in the forms in which tools print them. Bytes move in blocks, never
// line by line: a Writer collects up to 256 KiB or 50 ms, and readers follow by offset. A log that reaches its limit is cut:
// it says where, and goes on with its last lines. Nothing here knows what the bytes mean, and nothing is ever changed. Whole
// logs are removed by Sweep, when their time is over, and by nothing else.
//
// For a log "run/7/guid/unit/1" there are three files: .log is what the step printed; .index has the number of lines
// before every 64 KiB, for links to a line; .end is written last and says that the log is complete.
//
// Start reading at Store, then Writer and Follow.
package logs

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
)

// What the caller decides on.
var (
	ErrNotFound   = errors.New("logs: there is no log of this name")
	ErrExists     = errors.New("logs: the log exists already; an attempt's log is written once")
	ErrIncomplete = errors.New("logs: the log is still being written")
)

// BlockSize is how many bytes move at once, at most.
const BlockSize = 256 << 10

// Store is a directory of logs. All methods may be called concurrently.
type Store struct {
	root *os.Root

	mu   sync.Mutex
	live map[string]*live // logs that a Writer of this process has open
}

// Open uses a directory, and makes it if it is absent. Several processes may read it; one attempt's log is written by
// one process.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("logs: make the directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("logs: open the directory: %w", err)
	}
	return &Store{root: root, live: make(map[string]*live)}, nil
}

// Close gives the directory back. Writers must be closed before.
func (s *Store) Close() error { return s.root.Close() }

// checkName accepts names like "run/7/guid/unit/1". They become file names, and come from addresses that people type.
func checkName(name string) error {
	if name == "" || len(name) > 512 || strings.Count(name, "/") > 15 {
		return fmt.Errorf("logs: a name has 1 to 512 characters and at most 16 parts; %.80q has not", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		// No leading dot: that excludes ".." and whatever is hidden.
		if part == "" || len(part) > 200 || part[0] == '.' {
			return fmt.Errorf("logs: the name %q has a part that is empty, too long or starts with a dot", name)
		}
		for _, c := range []byte(part) {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
				return fmt.Errorf("logs: the name %q may hold letters, digits, - _ . and slashes only", name)
			}
		}
	}
	return nil
}

const (
	logEnding   = ".log"
	indexEnding = ".index"
	endEnding   = ".end"
)

// openLog opens a log for reading.
func (s *Store) openLog(name string) (*os.File, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	f, err := s.root.Open(name + logEnding)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, name)
	}
	if err != nil {
		return nil, fmt.Errorf("logs: open %s: %w", name, err)
	}
	return f, nil
}

// End is what is known of a complete log.
type End struct {
	Size    int64  `json:"size"`    // bytes stored
	CRC32   uint32 `json:"crc32"`   // of these bytes, IEEE
	Lines   int64  `json:"lines"`   // line ends among them
	Dropped int64  `json:"dropped"` // bytes that came after the limit was reached
}

// End reads what is known of a complete log. ErrIncomplete when it is not complete.
func (s *Store) End(name string) (End, error) {
	f, err := s.openLog(name)
	if err != nil {
		return End{}, err
	}
	defer f.Close()
	return s.end(name, f)
}

func (s *Store) end(name string, f *os.File) (End, error) {
	var e End
	b, err := s.root.ReadFile(name + endEnding)
	if errors.Is(err, fs.ErrNotExist) {
		return e, fmt.Errorf("%w: %s", ErrIncomplete, name)
	}
	if err != nil {
		return e, fmt.Errorf("logs: read the end of %s: %w", name, err)
	}
	st, err := f.Stat()
	if err != nil {
		return e, fmt.Errorf("logs: read the size of %s: %w", name, err)
	}
	// A power cut may leave less than was said to be there; then it is not complete, whatever the file says.
	if json.Unmarshal(b, &e) != nil || e.Size != st.Size() {
		return End{}, fmt.Errorf("%w: %s", ErrIncomplete, name)
	}
	return e, nil
}

// writeEnd completes a log. The rename makes the file appear whole.
func (s *Store) writeEnd(name string, e End) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("logs: complete %s: %w", name, err)
	}
	temp := name + endEnding + "~" // no log can have this name
	if err := s.root.WriteFile(temp, b, 0o600); err != nil {
		return fmt.Errorf("logs: complete %s: %w", name, err)
	}
	if err := s.root.Rename(temp, name+endEnding); err != nil {
		return fmt.Errorf("logs: complete %s: %w", name, err)
	}
	return nil
}

// File opens a complete log, for http.ServeContent: the kernel then moves the bytes. ErrIncomplete while it is still
// written; use Follow then. The caller closes it.
func (s *Store) File(name string) (*os.File, error) {
	f, err := s.openLog(name)
	if err != nil {
		return nil, err
	}
	if _, err := s.end(name, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Verify reads a complete log once and tells whether its bytes still are the ones that were written.
func (s *Store) Verify(name string) error {
	f, err := s.openLog(name)
	if err != nil {
		return err
	}
	defer f.Close()
	e, err := s.end(name, f)
	if err != nil {
		return err
	}
	sum := crc32.NewIEEE()
	if _, err := io.Copy(sum, f); err != nil {
		return fmt.Errorf("logs: read %s: %w", name, err)
	}
	if sum.Sum32() != e.CRC32 {
		return fmt.Errorf("logs: %s was damaged after it was written", name)
	}
	return nil
}

// create makes a log's file and the folders above it. It never opens one that exists.
func (s *Store) create(name string) (*os.File, error) {
	for try := 0; ; try++ {
		if err := s.root.MkdirAll(path.Dir(name), 0o700); err != nil {
			return nil, err
		}
		f, err := s.root.OpenFile(name+logEnding, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if !errors.Is(err, fs.ErrNotExist) || try == 2 { // a sweep may have removed the folder, which was empty
			return f, err
		}
	}
}
