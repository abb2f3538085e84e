package app

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// A run's page is opened by its link alone. The link stands in the check run, which only those can read who can read
// the repository, and it holds a key that nobody can guess: there is no list of runs to walk.

// RunURL is the address of a run's page.
func (a *App) RunURL(run pipeline.RunID) string {
	path := strings.TrimPrefix(string(run), "run/")
	return fmt.Sprintf("%s/runs/%s/%s", strings.TrimSuffix(a.config.PublicURL, "/"), path, a.RunKey(run))
}

// RunKey is the part of a run's address that opens it.
func (a *App) RunKey(run pipeline.RunID) string {
	mac := hmac.New(sha256.New, a.linkKey)
	mac.Write([]byte(run))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// linkKey reads the secret behind all links, and makes it at the first start.
func linkKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, "link.key")
	key, err := os.ReadFile(path)
	switch {
	case err == nil && len(key) == 32:
		return key, nil
	case err == nil:
		return nil, fmt.Errorf("app: %s is damaged; remove it to make a new one (links in older check runs stop working)", path)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("app: read the key of links: %w", err)
	}
	key = make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("app: make the key of links: %w", err)
	}
	if err := os.WriteFile(path, key, 0o600); err != nil {
		return nil, fmt.Errorf("app: keep the key of links: %w", err)
	}
	return key, nil
}
