package age

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// What can happen to a secret. The words are stored, and never renamed.
const (
	wasSet      = "set"
	wasReplaced = "replaced"
	wasRemoved  = "removed"
	wasRotated  = "rotated" // the key of all of them
)

// line is one change. Before is the hash of the line before it, so that a line that was taken out is missed.
type line struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
	Name string    `json:"name,omitempty"`
	Scope
	Slug   string `json:"slug,omitempty"`
	By     string `json:"by,omitempty"`
	Before string `json:"before,omitempty"`
}

// tell makes the line of a change durable. The caller holds the lock.
func (s *Store) tell(l line) (err error) {
	l.At = s.now().UTC()
	f, err := os.OpenFile(filepath.Join(s.dir, changesFile), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("secret: write the list of changes: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = fmt.Errorf("secret: write the list of changes: %w", err)
		}
	}()
	all, err := os.ReadFile(f.Name())
	if err != nil {
		return err
	}
	if cut := bytes.LastIndexByte(all, '\n') + 1; cut < len(all) { // a crash tore the last line
		if err := f.Truncate(int64(cut)); err != nil {
			return err
		}
		all = all[:cut]
	}
	if len(all) > 0 {
		last := all[bytes.LastIndexByte(all[:len(all)-1], '\n')+1 : len(all)-1]
		sum := sha256.Sum256(last)
		l.Before = hex.EncodeToString(sum[:])
	}
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if _, err = f.Write(append(text, '\n')); err != nil {
		return err
	}
	return f.Sync()
}
