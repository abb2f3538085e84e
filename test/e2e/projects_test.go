package e2e

import (
	"io/fs"
	"os"
	"strings"
	"testing"
)

// project reads a folder of testdata/projects as the files of a commit.
func project(t *testing.T, kind string) map[string]string {
	t.Helper()
	files := map[string]string{}
	tree := os.DirFS("testdata/projects/" + kind)
	if err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := fs.ReadFile(tree, name)
		files[name] = string(text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

// TestAProjectOfEachKindIsBuiltTestedAndDeployed has two kinds of plans: the buildspec that a project has already, or a
// dozen lines. What is deployed is what its tools have made.
func TestAProjectOfEachKindIsBuiltTestedAndDeployed(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]struct{ step, check, log, page string }{
		"go":     {"shorten", "Artifact **shorten**", "Phase complete: UPLOAD_ARTIFACTS State: SUCCEEDED", "<p>https://example.com/a/long/way is odmpg6iw</p>\n"},
		"node":   {"board", "0 of 2 tests failed", "", "<!doctype html><title>Board</title><ol><li value=\"1\">blue: 5<li value=\"2\">red: 3</ol>\n"},
		"python": {"tally", "Artifact **tally**", "Ran 2 tests", "<table><tr><td>the<td>3<tr><td>box<td>2<tr><td>moves<td>2</table>\n"},
		"java":   {"clock", "0 of 3 tests failed", "Phase complete: POST_BUILD State: SUCCEEDED", "<pre>.........########.......</pre>\n"},
		"static": {"site", "Artifact **site**", "", "<!doctype html><title>Home</title>\n<p>A site of <a href=\"about.html\">two pages</a>.</p>\n"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			files := project(t, kind)
			if lines := strings.Count(files[".github/conveyor.yml"], "\n"); lines > 12 {
				t.Errorf("the plan has %d lines", lines)
			}
			h := open(t)
			sha := h.push("main", "author", "first", files)
			run := h.concluded(sha, "conveyor / build")
			log := h.logOf(want.step)
			if run.Conclusion != "success" {
				t.Fatalf("%s: %s\n%s", run.Conclusion, run.Summary, log)
			}
			shows(t, "the check", run.Summary, want.check)
			shows(t, "the log", log, want.log)
			h.deployed("staging", sha)
			h.serves("staging", want.page)
		})
	}
}
