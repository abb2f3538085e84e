package static_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy/target"
	"github.com/conveyor-ci/conveyor/deploy/target/static"
	"github.com/conveyor-ci/conveyor/deploy/target/targettest"
)

func TestStaticKeepsTheContract(t *testing.T) {
	t.Parallel()
	targettest.Run(t, func(t *testing.T) targettest.Place {
		base := t.TempDir()
		return targettest.Place{
			Open:     func() target.Target { return open(t, static.Options{Base: base}) },
			Settings: map[string]string{"root": "shop/site"},
			Serves:   func(environment, path string) string { return serves(folder(base, environment), path) },
		}
	})
}

func open(t testing.TB, o static.Options) *static.Target {
	t.Helper()
	s, err := static.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// folder is where an environment of the root shop/site lies.
func folder(base, environment string) string {
	root := filepath.Join(base, "shop", "site")
	if dir, own := filepath.Split(environment); dir != "" {
		root = filepath.Join(root, own)
	}
	return root
}

func serves(root, path string) string {
	b, err := os.ReadFile(filepath.Join(root, "current", path))
	if err != nil {
		return ""
	}
	return string(b)
}
