// Package age keeps secrets in one file that is encrypted with age, and its key in another.
//
// The file is read anew at each question, so that a server that runs sees what the command line has changed a moment ago,
// and keeps no secret in its memory longer than a step needs it. Every change is a whole new file, put in place by a
// rename, and one line in a list of changes that names no value. Nothing here decides who may have a secret.
//
// Start reading at Store; key.go is the key and how it is replaced, changes.go the list of changes.
package age

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"filippo.io/age"

	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

// The files of a store.
const (
	storeFile   = "store.age"
	changesFile = "changes.jsonl"
	lockFile    = "lock"
	keyFile     = "key.txt" // unless the key is kept elsewhere
)

// MaxSize is how long a secret may be, in bytes.
const MaxSize = 64 << 10

// ErrUnknown means that there is no secret of this name in this scope.
var ErrUnknown = errors.New("secret: there is no such secret")

// Store is a folder with secrets. It holds nothing in memory; several processes may use the folder.
type Store struct {
	dir, key string
	now      func() time.Time
}

// New names the store. Nothing is made before the first secret is. An empty key is one in the folder itself.
func New(dir, key string, now func() time.Time) *Store {
	return &Store{dir: dir, key: cmp.Or(key, filepath.Join(dir, keyFile)), now: now}
}

// Scope says where a secret may be used: in a repository's builds, or only in the deployments to one of its environments.
type Scope struct {
	Repository  int64  `json:"repository"`
	Environment string `json:"environment,omitempty"`
}

// Entry is what may be shown of a secret.
type Entry struct {
	Name string `json:"name"`
	Scope
	Slug    string    `json:"slug,omitempty"` // the repository's name when it was set, for people
	Changed time.Time `json:"changed"`
	By      string    `json:"by,omitempty"` // the user of this machine who set it
}

// kept is an entry as it is encrypted.
type kept struct {
	Entry
	Value []byte `json:"value"`
}

type contents struct {
	Version int    `json:"version"`
	Secrets []kept `json:"secrets"`
}

// Find is a secret's value. ErrUnknown when there is none of this name in this very scope.
func (s *Store) Find(scope Scope, name string) (secret.Value, error) {
	all, err := s.readAll()
	if err != nil {
		return secret.Value{}, err
	}
	for _, k := range all.Secrets {
		if k.Name == name && k.Scope == scope {
			return secret.New(string(k.Value)), nil
		}
	}
	return secret.Value{}, ErrUnknown
}

// List is what there is, by repository, environment and name.
func (s *Store) List() ([]Entry, error) {
	all, err := s.readAll()
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(all.Secrets))
	for _, k := range all.Secrets {
		entries = append(entries, k.Entry)
	}
	return entries, nil
}

// Set keeps a secret, in place of one of the same name and scope.
func (s *Store) Set(e Entry, value secret.Value) error {
	if err := secret.CheckName(e.Name); err != nil {
		return err
	}
	if n := len(value.Reveal()); n == 0 || n > MaxSize {
		return fmt.Errorf("secret: %s has %d bytes; give 1 to %d", e.Name, n, MaxSize)
	}
	if e.Repository <= 0 {
		return fmt.Errorf("secret: %s belongs to no repository", e.Name)
	}
	return s.change(func(all *contents) (line, error) {
		e.Changed = s.now().UTC()
		what := wasSet
		at := slices.IndexFunc(all.Secrets, func(k kept) bool { return k.Name == e.Name && k.Scope == e.Scope })
		if at >= 0 {
			what = wasReplaced
			all.Secrets = slices.Delete(all.Secrets, at, at+1)
		}
		all.Secrets = append(all.Secrets, kept{e, []byte(value.Reveal())})
		return line{What: what, Name: e.Name, Scope: e.Scope, Slug: e.Slug, By: e.By}, nil
	})
}

// Remove forgets a secret. ErrUnknown when there is none.
func (s *Store) Remove(scope Scope, name, by string) error {
	return s.change(func(all *contents) (line, error) {
		at := slices.IndexFunc(all.Secrets, func(k kept) bool { return k.Name == name && k.Scope == scope })
		if at < 0 {
			return line{}, ErrUnknown
		}
		slug := all.Secrets[at].Slug
		all.Secrets = slices.Delete(all.Secrets, at, at+1)
		return line{What: wasRemoved, Name: name, Scope: scope, Slug: slug, By: by}, nil
	})
}

// change does one change under the lock: first its line is durable, then the change is. So a crash may leave a line of a
// change that was not made, and never a change without its line.
func (s *Store) change(do func(*contents) (line, error)) error {
	unlock, err := s.lock(syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	keys, err := s.keys(true)
	if err != nil {
		return err
	}
	all, err := s.read(keys)
	if err != nil {
		return err
	}
	l, err := do(&all)
	if err != nil {
		return err
	}
	if err := s.tell(l); err != nil {
		return err
	}
	return s.write(all, keys[0])
}

func (s *Store) readAll() (contents, error) {
	if _, err := os.Stat(s.dir); errors.Is(err, fs.ErrNotExist) {
		return contents{}, nil
	}
	unlock, err := s.lock(syscall.LOCK_SH) // not between a key and what is encrypted with it
	if err != nil {
		return contents{}, err
	}
	defer unlock()
	if _, err := os.Stat(filepath.Join(s.dir, storeFile)); errors.Is(err, fs.ErrNotExist) {
		return contents{}, nil
	}
	keys, err := s.keys(false)
	if err != nil {
		return contents{}, err
	}
	return s.read(keys)
}

func (s *Store) read(keys []*age.X25519Identity) (contents, error) {
	none := contents{Version: 1}
	data, err := os.ReadFile(filepath.Join(s.dir, storeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("secret: read the store: %w", err)
	}
	identities := make([]age.Identity, len(keys))
	for i, k := range keys {
		identities[i] = k
	}
	plain, err := age.Decrypt(bytes.NewReader(data), identities...)
	if err != nil {
		return none, fmt.Errorf("secret: the store is not encrypted with the key in %s; put the right key back: %w", s.key, err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		return none, fmt.Errorf("secret: the store is damaged; put a copy of %s back: %w", storeFile, err)
	}
	var all contents
	if json.Unmarshal(text, &all) != nil || all.Version != 1 { // the error could quote a value
		return none, fmt.Errorf("secret: the store was written by another version of Conveyor")
	}
	return all, nil
}

func (s *Store) write(all contents, key *age.X25519Identity) error {
	slices.SortFunc(all.Secrets, func(a, b kept) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Name, b.Name))
	})
	text, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("secret: write the store: %w", err)
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, key.Recipient())
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return fmt.Errorf("secret: encrypt the store: %w", err)
	}
	return replace(filepath.Join(s.dir, storeFile), out.Bytes())
}

// lock keeps others from changing the store, or from using it at all.
func (s *Store) lock(how int) (unlock func(), err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("secret: make the folder of secrets: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(s.dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("secret: lock the store: %w", err)
	}
	for {
		if err = syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("secret: lock the store: %w", errors.Join(err, f.Close()))
	}
	return func() { _ = f.Close() }, nil
}

// replace makes a file appear whole, readable by its owner only, and stay over a power cut.
func replace(path string, data []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("secret: write %s: %w", path, err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("secret: write %s: %w", path, errors.Join(err, os.Remove(path+".new")))
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("secret: write %s: %w", path, err)
	}
	return errors.Join(d.Sync(), d.Close())
}
