package ledger

import (
	"bufio"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// Ledger is a ledger that grows. One server alone writes it.
type Ledger struct {
	mu   sync.Mutex
	key  ed25519.PrivateKey
	file *os.File
	size int64
	last Line
	head string
	told map[string]mark // by stream; the zero mark is before the first part of the first record
}

// mark is the last record of a stream that is in the ledger.
type mark struct {
	version int64
	part    int
}

// Open opens the ledger of a folder, and makes it and its key when they are not there. The key lies in the folder, too, or in
// the file that is named. A last line that a crash tore is removed: the record that it came from is told again.
func Open(dir, keyFile string) (*Ledger, error) {
	if keyFile == "" {
		keyFile = filepath.Join(dir, KeyFile)
	}
	key, err := Key(dir, keyFile)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, File), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("ledger: open it: %w", err)
	}
	l := &Ledger{key: key, file: f, head: zeros, told: map[string]mark{}}
	if err := l.recall(keyFile); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := writePublic(dir, key); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

// recall reads where the ledger ends, and whose it is. It proves nothing; that is Verify's.
func (l *Ledger) recall(keyFile string) error {
	signer := ""
	r := bufio.NewReaderSize(l.file, 1<<20)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("ledger: read it: %w", err)
		}
		l.size += int64(len(line))
		line = line[:len(line)-1]
		var e envelope
		var s statement
		if json.Unmarshal(line, &e) != nil || json.Unmarshal(e.Payload, &s) != nil {
			return fmt.Errorf("ledger: line %d of %s is no line of a ledger; look at it with conveyor audit verify, or move the file away to begin a new one", l.last.Sequence+1, File)
		}
		l.last, l.head = s.Predicate, hashOf(line)
		l.told[l.last.Stream] = mark{l.last.Version, l.last.Part}
		if len(e.Signatures) > 0 {
			signer = e.Signatures[0].KeyID
		}
	}
	if signer != "" && signer != l.KeyID() {
		return fmt.Errorf("ledger: its last line was signed with the key %s, and %s holds %s; name the file of that key, or move the ledger away to begin a new one", signer, keyFile, l.KeyID())
	}
	if err := l.file.Truncate(l.size); err != nil {
		return fmt.Errorf("ledger: remove a torn line: %w", err)
	}
	return nil
}

// Record is what one record of the journal has done.
type Record struct {
	Stream     string
	Version    int64
	Repository pipeline.Repo
	Entries    []deploy.Entry
}

// Append adds what is not in the ledger yet, and returns when it is durable. Records of one stream come in their order.
// With an error nothing of it is there, and it may be repeated.
func (l *Ledger) Append(records ...Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, head, told, out := l.last, l.head, map[string]mark{}, []byte(nil)
	for _, r := range records {
		for part, entry := range r.Entries {
			before, ok := told[r.Stream]
			if !ok {
				before = l.told[r.Stream]
			}
			if r.Version < before.version || r.Version == before.version && part <= before.part {
				continue
			}
			last = Line{Sequence: last.Sequence + 1, Previous: head, Stream: r.Stream, Version: r.Version, Part: part, Repository: r.Repository, Entry: entry}
			payload, err := last.payload()
			if err != nil {
				return err
			}
			line, err := seal(l.key, payload)
			if err != nil {
				return err
			}
			head, out = hashOf(line), append(append(out, line...), '\n')
			told[r.Stream] = mark{r.Version, part}
		}
	}
	if len(out) == 0 {
		return nil
	}
	_, err := l.file.WriteAt(out, l.size)
	if err = errors.Join(err, l.file.Sync()); err != nil {
		return errors.Join(fmt.Errorf("ledger: write it: %w", err), l.file.Truncate(l.size))
	}
	l.last, l.head, l.size = last, head, l.size+int64(len(out))
	for stream, m := range told {
		l.told[stream] = m
	}
	return nil
}

// Head is how many lines there are, and the hash of the last one. Whoever keeps it elsewhere can tell later whether lines
// were cut off.
func (l *Ledger) Head() (lines int, hash string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last.Sequence, l.head
}

// KeyID names the key that the lines are signed with.
func (l *Ledger) KeyID() string {
	public, _ := l.key.Public().(ed25519.PublicKey)
	return KeyID(public)
}

// Close ends it.
func (l *Ledger) Close() error { return l.file.Close() }
