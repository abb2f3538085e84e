package webhook_test

import (
	"archive/zip"
	"io"
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
	z, err := zip.OpenReader("testdata/webhook-examples.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	all := map[string][]byte{}
	for _, entry := range z.File {
		f, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		if all[entry.Name], err = io.ReadAll(f); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 200 {
		t.Fatalf("only %d examples were found", len(all))
	}
	return all
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
