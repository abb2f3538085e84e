package artifacttest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/artifact"
)

// Write lays files out below a fresh folder: path → content. A content that starts with "link:" makes a link, a path
// that ends in "!" an executable file.
func Write(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	paths := make([]string, 0, len(files))
	for path := range files {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	for _, path := range paths {
		content := files[path]
		mode := os.FileMode(0o644)
		path, exec := strings.CutSuffix(path, "!")
		if exec {
			mode = 0o755
		}
		full := filepath.Join(root, path)
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		if target, ok := strings.CutPrefix(content, "link:"); ok {
			must(t, os.Symlink(target, full))
			continue
		}
		must(t, os.WriteFile(full, []byte(content), mode))
		must(t, os.Chmod(full, mode))
	}
	return root
}

// Tree reads a folder back into the form that Write takes.
func Tree(t testing.TB, root string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		st, err := os.Lstat(path)
		if err != nil {
			return err
		}
		switch {
		case st.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			files[rel] = "link:" + target
			return err
		case st.Mode() == 0o755:
			rel += "!"
		case st.Mode() != 0o644:
			t.Errorf("%s has the mode %v, want 0644 or 0755", rel, st.Mode())
		}
		b, err := os.ReadFile(path)
		files[rel] = string(b)
		return err
	}))
	return files
}

// Content reads one object to its end.
func Content(ctx context.Context, s artifact.Store, f artifact.File) (string, error) {
	r, err := s.Open(ctx, f.Digest)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(r)
	return string(b), errors.Join(err, r.Close())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
