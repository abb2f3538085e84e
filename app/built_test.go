package app_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/pipeline/buildspec"
)

// laid are the files of an artifact, as they were laid out, and which of them are links.
func laid(t *testing.T, dir, base string, files []string, art buildspec.Artifacts) (names []string) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	}()
	out, err := app.LayBeside(root, base, files, art, ".conveyor-build/0")
	if err != nil {
		return []string{err.Error()}
	}
	for _, name := range out {
		names = append(names, name+" (out)")
	}
	at := filepath.Join(dir, ".conveyor-build/0")
	err = filepath.WalkDir(at, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name := strings.TrimPrefix(path, at+"/")
			if d.Type()&fs.ModeSymlink != 0 {
				name += " (link)"
			}
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func workspace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"out-a/x.txt", "out-a/deep/y.txt", "out-b/z.txt", "out-b/z.map", "other/o.txt", "out-file", ".hidden"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAnArtifactOfABuildspecHoldsWhatItsKeysSay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		base  string
		files []string
		art   buildspec.Artifacts
		want  string
	}{
		"several bases":   {"out-*", []string{"**/*"}, buildspec.Artifacts{}, "deep/y.txt x.txt z.map z.txt"},
		"flat":            {"", []string{"**/*.txt"}, buildspec.Artifacts{Flat: true}, "o.txt x.txt y.txt z.txt"},
		"some left out":   {"", []string{"**/*"}, buildspec.Artifacts{Exclude: []string{"**/*.map", "out-a", "./out-file"}}, ".hidden other/o.txt out-b/z.txt"},
		"direct children": {"out-*", []string{"*"}, buildspec.Artifacts{}, "x.txt z.map z.txt"},
		"nothing":         {"out-*", []string{"*.jar"}, buildspec.Artifacts{}, `artifact: no file matches the declared paths: "*.jar"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(laid(t, workspace(t), c.base, c.files, c.art), " "); got != c.want {
				t.Errorf("it holds %s, want %s", got, c.want)
			}
		})
	}
}

func TestALinkOfABuildLeadsNoArtifactOutOfTheWorkspace(t *testing.T) {
	t.Parallel()
	dir := workspace(t)
	for name, target := range map[string]string{
		"out-a/etc": "/etc", "out-a/passwd": "/etc/passwd", "out-link": "/etc", "out-a/up": "../..", "out-a/far": "../../../../../../etc/hostname",
		"out-a/same": "x.txt", "out-a/near": "../other/o.txt", "out-a/folder": "../other",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	got := strings.Join(laid(t, dir, "out-*", []string{"**/*", "etc/passwd"}, buildspec.Artifacts{}), " ")
	if want := `"out-a/etc" (out) "out-a/far" (out) "out-a/folder" (out) "out-a/passwd" (out) "out-a/up" (out) deep/y.txt near same (link) x.txt z.map z.txt`; got != want {
		t.Errorf("it holds %s\nwant     %s", got, want)
	}
	if near, err := os.ReadFile(filepath.Join(dir, ".conveyor-build/0/near")); string(near) != "other/o.txt" {
		t.Errorf("a link to another file is %q: %v", near, err)
	}
}

func TestAPathOfABuildspecStaysInTheWorkspace(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"": "", ".": "", "./": "", "./dist/": "dist", "dist/**/*": "dist/**/*", "/workspace": "", "/workspace/dist": "dist", "a/../b": "b",
		"/tmp/x": "!", "../x": "!", "a/../../x": "!", "~/.m2": "!", "/workspaces/x": "!", "a[": "!",
	} {
		clean, why := app.Inside(name, "/workspace")
		if (why != "") != (want == "!") || want != "!" && clean != want {
			t.Errorf("%q is %q: %s", name, clean, why)
		}
	}
}
