package age

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"filippo.io/age"
)

// keys reads the key file. What is encrypted is encrypted for the first; there is a second one only when a rotation was cut
// off. With make, a store that has neither a key nor a file gets a key.
func (s *Store) keys(make bool) ([]*age.X25519Identity, error) {
	info, err := os.Stat(s.key)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(s.dir, storeFile)); err == nil || !make {
			return nil, fmt.Errorf("secret: the key of the store is not at %s; put it back, or name it with CONVEYOR_SECRETS_KEY_FILE", s.key)
		}
		return s.newKey()
	}
	if err != nil {
		return nil, fmt.Errorf("secret: read the key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("secret: the key in %s can be read by others; chmod 600 it", s.key)
	}
	data, err := os.ReadFile(s.key)
	if err != nil {
		return nil, fmt.Errorf("secret: read the key: %w", err)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("secret: %s is no file of age keys, as age-keygen writes them", s.key) // age's words may quote it
	}
	var keys []*age.X25519Identity
	for _, i := range identities {
		if k, ok := i.(*age.X25519Identity); ok {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("secret: %s holds no key of the kind AGE-SECRET-KEY-1; make one with age-keygen", s.key)
	}
	return keys, nil
}

func (s *Store) newKey() ([]*age.X25519Identity, error) {
	k, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("secret: make a key: %w", err)
	}
	return []*age.X25519Identity{k}, s.writeKeys(k)
}

// writeKeys writes the key file as age-keygen does.
func (s *Store) writeKeys(keys ...*age.X25519Identity) error {
	var text bytes.Buffer
	for _, k := range keys {
		fmt.Fprintf(&text, "# public key: %s\n%s\n", k.Recipient(), k)
	}
	if err := os.MkdirAll(filepath.Dir(s.key), 0o700); err != nil {
		return fmt.Errorf("secret: make a place for the key: %w", err)
	}
	return replace(s.key, text.Bytes())
}

// Rotate encrypts everything with a new key, and forgets the old one. Whenever it is cut off, the key file holds a key
// that opens the store: for a moment it holds both.
func (s *Store) Rotate(by string) (count int, err error) {
	unlock, err := s.lock(syscall.LOCK_EX)
	if err != nil {
		return 0, err
	}
	defer unlock()
	old, err := s.keys(true)
	if err != nil {
		return 0, err
	}
	all, err := s.read(old)
	if err != nil {
		return 0, err
	}
	fresh, err := age.GenerateX25519Identity()
	if err != nil {
		return 0, fmt.Errorf("secret: make a key: %w", err)
	}
	if err := s.tell(line{What: wasRotated, By: by}); err != nil {
		return 0, err
	}
	if err := s.writeKeys(append([]*age.X25519Identity{fresh}, old...)...); err != nil {
		return 0, err
	}
	if err := s.write(all, fresh); err != nil {
		return 0, err
	}
	return len(all.Secrets), s.writeKeys(fresh)
}
