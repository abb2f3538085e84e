package planfile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/conveyor-ci/conveyor/pipeline/planfile"
)

// golden compares what came out with a file. UPDATE=1 writes the file anew.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with UPDATE=1 and read what it says", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs (-want +got); if that is right, write it with UPDATE=1:\n%s", path, d)
	}
}

// each runs a test for every file of a pattern, and fails when there is none.
func each(t *testing.T, pattern string, test func(t *testing.T, path string, data []byte)) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yml"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			test(t, path, data)
		})
	}
}

// used reads a file that another one uses. The path is as in a repository, without the test's own folder.
func used(path string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join("testdata", "used", path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, planfile.ErrNoFile
	}
	return data, err
}

func TestAGoodFileIsThePlanItSays(t *testing.T) {
	t.Parallel()
	each(t, "testdata/valid/*.yml", func(t *testing.T, path string, data []byte) {
		plan, problems := planfile.ParseFor(path, data, planfile.Options{Read: used})
		if len(problems) > 0 {
			t.Fatalf("a good file has mistakes:\n%s", planfile.Format(path, data, problems))
		}
		var got bytes.Buffer
		e := json.NewEncoder(&got)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(plan); err != nil {
			t.Fatal(err)
		}
		golden(t, strings.TrimSuffix(path, ".yml")+".json", got.Bytes())
	})
}

func TestABadFileSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	each(t, "testdata/invalid/*.yml", func(t *testing.T, path string, data []byte) {
		plan, problems := planfile.ParseFor(".github/conveyor.yml", data, planfile.Options{Read: used})
		if len(problems) == 0 {
			t.Fatal("no mistake was found")
		}
		if d := cmp.Diff(planfile.Hash(plan), planfile.Hash(zero)); d != "" {
			t.Error("a file with mistakes must give no plan")
		}
		golden(t, strings.TrimSuffix(path, ".yml")+".txt", []byte(planfile.Format(".github/conveyor.yml", data, problems)))
	})
}
