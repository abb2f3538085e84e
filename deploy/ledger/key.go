package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The files of a ledger, in one folder; the private key may lie elsewhere.
const (
	File       = "audit.jsonl"
	KeyFile    = "audit.key" // PKCS #8, PEM; for the server alone
	PublicFile = "audit.pub" // PKIX, PEM; to be copied to where the ledger is verified
)

// KeyID names a public key as OpenSSH does, SHA256: and base64. Other tools for DSSE take it for the name of a key that was
// given none.
func KeyID(public ed25519.PublicKey) string {
	var wire []byte // https://www.rfc-editor.org/rfc/rfc8709#section-4
	for _, part := range [][]byte{[]byte("ssh-ed25519"), public} {
		wire = append(binary.BigEndian.AppendUint32(wire, uint32(len(part))), part...)
	}
	sum := sha256.Sum256(wire)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// Key reads the key of a folder's ledger from a file, and makes one there when there is neither a key nor a ledger yet. A
// ledger whose key is lost is not continued with another one.
func Key(dir, file string) (ed25519.PrivateKey, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		if info, err := os.Stat(filepath.Join(dir, File)); err == nil && info.Size() > 0 {
			if beside := filepath.Join(dir, KeyFile); beside != file && exists(beside) {
				return nil, fmt.Errorf("ledger: the key of %s lies beside it, and %s is not there; move it: mv %s %s", File, file, beside, file)
			}
			return nil, fmt.Errorf("ledger: its key %s is missing, and %s is there; put the key back, or move the ledger away to begin a new one", file, File)
		}
		return newKey(file)
	}
	if err != nil {
		return nil, fmt.Errorf("ledger: read its key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("ledger: %s is not a key in PEM form", file)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("ledger: %s is not an Ed25519 key", file)
	}
	return key, nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func newKey(file string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("ledger: make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("ledger: make a key: %w", err)
	}
	return key, write(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// writePublic writes the public key beside the ledger, should it not be there.
func writePublic(dir string, key ed25519.PrivateKey) error {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("ledger: write its public key: %w", err)
	}
	return write(filepath.Join(dir, PublicFile), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644)
}

// write makes a file whole, or not at all: a key that is half there would be taken for a lost one.
func write(name string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return fmt.Errorf("ledger: write %s: %w", filepath.Base(name), err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		return fmt.Errorf("ledger: write %s: %w", filepath.Base(name), err)
	}
	return nil
}

// PublicKey reads a public key in PEM form.
func PublicKey(data []byte) (ed25519.PublicKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("this is not a public key in PEM form")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if key, ok := parsed.(ed25519.PublicKey); err == nil && ok {
		return key, nil
	}
	return nil, errors.New("this is not an Ed25519 public key")
}
