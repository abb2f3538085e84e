package provenance

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	hash "crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Key signs. It is for the server alone: no sandbox ever sees its file.
type Key struct {
	private *ecdsa.PrivateKey
	trusted []*ecdsa.PublicKey
}

// Trusted are the keys whose signatures count here: its own, and those that it took the place of.
func (k *Key) Trusted() []*ecdsa.PublicKey { return k.trusted }

// Hint names the key as its bundles do.
func (k *Key) Hint() string {
	hint, _ := Hint(&k.private.PublicKey) // it was marshalled when it was opened
	return hint
}

// Hint names a public key as cosign does: the SHA-256 of its PKIX form, in base64.
func Hint(key *ecdsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("provenance: name a key: %w", err)
	}
	sum := hash.Sum256(der)
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

// PublicFile is where the public keys of a key file stand: beside it.
func PublicFile(file string) string {
	return strings.TrimSuffix(file, filepath.Ext(file)) + ".pub"
}

// Open reads a key, ECDSA on P-256 in PKCS #8 and PEM, and makes it when there is none. Its public half is written to
// PublicFile. What stands there from earlier keys still counts: to retire a key is to put another in its place, and to
// revoke it is to remove it from there.
func Open(file string) (*Key, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(PublicFile(file)); err == nil {
			return nil, fmt.Errorf("provenance: %s is missing, and %s is there; put the key back, or move the public file away to begin with a new key", file, PublicFile(file))
		}
		data, err = generate(file)
	}
	if err != nil {
		return nil, fmt.Errorf("provenance: read the key: %w", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("provenance: %s can be read by others; make it the server's alone with chmod 600", file)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("provenance: %s is not a key in PEM form", file)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("provenance: %s is not an ECDSA key on P-256 in PKCS #8 form; make one with openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256", file)
	}
	k := &Key{private: private}
	return k, k.publish(PublicFile(file))
}

// publish writes the public half in front of those that are there.
func (k *Key) publish(file string) error {
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("provenance: read the public keys: %w", err)
	}
	if len(old) > 0 {
		if k.trusted, err = PublicKeys(old); err != nil {
			return fmt.Errorf("provenance: %s: %w", file, err)
		}
	}
	for _, known := range k.trusted {
		if known.Equal(&k.private.PublicKey) {
			return nil
		}
	}
	der, err := x509.MarshalPKIXPublicKey(&k.private.PublicKey)
	if err != nil {
		return fmt.Errorf("provenance: write the public key: %w", err)
	}
	k.trusted = append([]*ecdsa.PublicKey{&k.private.PublicKey}, k.trusted...)
	return write(file, append(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), old...), 0o644)
}

// PublicKeys reads public keys in PEM form, one or more.
func PublicKeys(data []byte) (keys []*ecdsa.PublicKey, err error) {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		key, ok := parsed.(*ecdsa.PublicKey)
		if err != nil || !ok || key.Curve != elliptic.P256() {
			return nil, errors.New("this is not a public ECDSA key on P-256")
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 || len(bytes.TrimSpace(data)) > 0 {
		return nil, errors.New("this is not a public key in PEM form")
	}
	return keys, nil
}

func generate(file string) ([]byte, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	data := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return data, write(file, data, 0o600)
}

// write makes a file whole, or not at all: a key that is half there would be taken for a lost one.
func write(name string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return fmt.Errorf("provenance: write %s: %w", filepath.Base(name), err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		return fmt.Errorf("provenance: write %s: %w", filepath.Base(name), err)
	}
	return nil
}
