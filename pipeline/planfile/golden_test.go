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
	"github.com/conveyor-ci/conveyor/test/golden"
)

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
	golden.Each(t, "testdata/valid/*.yml", func(t *testing.T, path string, data []byte) {
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
		golden.Equal(t, strings.TrimSuffix(path, ".yml")+".json", got.String())
	})
}

func TestABadFileSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	golden.Each(t, "testdata/invalid/*.yml", func(t *testing.T, path string, data []byte) {
		plan, problems := planfile.ParseFor(".github/conveyor.yml", data, planfile.Options{Read: used})
		if len(problems) == 0 {
			t.Fatal("no mistake was found")
		}
		if d := cmp.Diff(planfile.Hash(plan), planfile.Hash(zero)); d != "" {
			t.Error("a file with mistakes must give no plan")
		}
		golden.Equal(t, strings.TrimSuffix(path, ".yml")+".txt", planfile.Format(".github/conveyor.yml", data, problems))
	})
}
