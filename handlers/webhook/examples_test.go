package webhook_test

import (
	"archive/zip"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
)

// examples are payloads by "collection/event/file": GitHub's own published ones, and ours for what those lack. See
// testdata/NOTICE.md.
func examples(t testing.TB) map[string][]byte {
	t.Helper()
	z := unpack(t)
	all := map[string][]byte{}
	for _, entry := range z.File {
		all[entry.Name] = content(t, z, entry.Name)
	}
	if len(all) < 200 {
		t.Fatalf("only %d examples were found", len(all))
	}
	return all
}

// example is one of them.
func example(t testing.TB, name string) []byte {
	t.Helper()
	return content(t, unpack(t), name)
}

func unpack(t testing.TB) *zip.ReadCloser {
	t.Helper()
	z, err := zip.OpenReader("testdata/webhook-examples.zip")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = z.Close() }) // it was only read
	return z
}

func content(t testing.TB, z fs.FS, name string) []byte {
	t.Helper()
	b, err := fs.ReadFile(z, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// extra are payloads of other projects, which are not kept here: they are read where they lie beside the checkout.
func extra(t testing.TB) map[string][]byte {
	t.Helper()
	beside := os.DirFS("../../../shared/github")
	all := map[string][]byte{}
	err := fs.WalkDir(beside, "webhook-examples-extra", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(name, ".json") {
			return err
		}
		all[name], err = fs.ReadFile(beside, name)
		return err
	})
	if err != nil {
		t.Logf("NOT READ: the payloads of other projects are not beside this checkout (%v); the kept ones are tested all the same", err)
		return nil
	}
	return all
}

// event is the event of an example.
func event(name string) string { return path.Base(path.Dir(name)) }
