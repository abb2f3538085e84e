package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// ErrNoKey means that the commit holds none of the files that name the cache.
var ErrNoKey = errors.New("cache: the commit holds none of the files that name it")

// Key names what a step wants from the cache. Family is the same for all contents of one declaration: what one of them
// holds may stand in for another.
type Key struct{ Family, Name string }

// Short is the name as people see it.
func (k Key) Short() string { return k.Name[:min(12, len(k.Name))] }

// Bounds of the files that name a cache.
const (
	maxKeyFiles = 1000
	maxKeyBytes = 64 << 20
)

// KeyOf reads the files of a fresh workspace that name the cache. It follows no link. More is what else makes contents of
// no use for one another, such as the image of a step.
func KeyOf(workspace string, spec pipeline.CacheSpec, more ...string) (Key, error) {
	declared, err := json.Marshal(struct {
		Version    int
		Key, Paths []string
		More       []string
	}{1, spec.Key, spec.Paths, more})
	if err != nil {
		return Key{}, fmt.Errorf("cache: name it: %w", err)
	}
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return Key{}, fmt.Errorf("cache: name it: %w", err)
	}
	defer func() { _ = root.Close() }()
	files, err := keyFiles(root.FS(), spec.Key)
	if err != nil {
		return Key{}, err
	}
	family := sha256.Sum256(declared)
	name, left := sha256.New(), int64(maxKeyBytes)
	name.Write(family[:])
	for _, path := range files {
		sum, n, err := sumOf(root, path, left)
		if err != nil {
			return Key{}, fmt.Errorf("cache: read %s: %w", path, err)
		}
		left -= n
		fmt.Fprintf(name, "%q %x\n", path, sum)
	}
	return Key{hex.EncodeToString(family[:16]), hex.EncodeToString(name.Sum(nil))}, nil
}

// keyFiles are the regular files that globs match, in order.
func keyFiles(files fs.FS, globs []string) (found []string, err error) {
	for _, glob := range globs {
		err := doublestar.GlobWalk(files, glob, func(path string, e fs.DirEntry) error {
			if e.Type().IsRegular() && !slices.Contains(found, path) {
				found = append(found, path)
			}
			if len(found) > maxKeyFiles {
				return fmt.Errorf("more than %d files name it; write a narrower key", maxKeyFiles)
			}
			return nil
		}, doublestar.WithNoFollow())
		if err != nil {
			return nil, fmt.Errorf("cache: look for %s: %w", glob, err)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoKey, strings.Join(globs, ", "))
	}
	slices.Sort(found)
	return found, nil
}

func sumOf(root *os.Root, path string, most int64) (sum []byte, n int64, err error) {
	f, err := root.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	n, err = io.Copy(h, io.LimitReader(f, most+1))
	if err == nil && n > most {
		err = fmt.Errorf("the files that name it have more than %d bytes; write a narrower key", maxKeyBytes)
	}
	return h.Sum(nil), n, err
}
