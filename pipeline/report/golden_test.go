package report_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/conveyor-ci/conveyor/pipeline/report"
)

// golden compares findings, as text, with a file. UPDATE=1 writes the file anew.
func golden(t *testing.T, path string, found report.Findings) {
	t.Helper()
	got := describe(found) + more(found)
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with UPDATE=1 and read what it says", err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s differs (-want +got); if that is right, write it with UPDATE=1:\n%s", path, d)
	}
}

func describe(found report.Findings) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d tests, %d failed, %d skipped, %d cut, truncated %v\n",
		found.Summary.Tests, found.Summary.Failed, found.Summary.Skipped, found.Cut, found.Truncated)
	for _, a := range append(found.Annotations, found.Unplaced...) {
		fmt.Fprintf(&b, "\n%s %s:%d-%d %s\n\t%s\n", a.Level, a.Path, a.Line, a.EndLine, a.Title, strings.ReplaceAll(a.Message, "\n", "\n\t"))
	}
	return b.String()
}

// more is what describe leaves out.
func more(found report.Findings) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\ndropped %d, alerts %+v\n", found.Dropped, found.Alerts)
	for _, t := range found.Tests {
		fmt.Fprintf(&b, "%s %s %s\n", t.Outcome, t.Took, t.Name)
	}
	if c := found.Coverage; c != nil {
		fmt.Fprintf(&b, "%d of %d lines covered, %d files outside, cut %v\n", c.Covered, c.Lines, c.Outside, c.Cut)
		for _, at := range c.Paths() {
			lines, covered, missed := c.Of(map[string][]report.Range{at: {{From: 1, To: 1 << 20}}})
			fmt.Fprintf(&b, "%s: %d of %d, not %v\n", at, covered, lines, missed[at])
		}
	}
	return b.String()
}

// tree knows the files of a list.
func tree(paths ...string) known {
	there := map[string]bool{}
	for _, p := range paths {
		there[p] = true
	}
	return func(path string) bool { return there[path] }
}

// shop knows the files of the module whose tests have been recorded.
var shop = known(func(path string) bool {
	info, err := os.Stat(filepath.Join("testdata", "shop", path))
	return err == nil && info.Mode().IsRegular()
})

func open(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestWhatGoTestPrintedLeadsToTheLines(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"plain", "verbose", "json"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			found, err := report.Go(open(t, "testdata/go/"+mode+".log"), "example.com/shop", shop, report.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "testdata/go/"+mode+".txt", found)
		})
	}
}

// The three forms tell of the same failures. Only plain output says nothing of the tests that passed.
func TestThreeFormsOfOutputGiveTheSameAnnotations(t *testing.T) {
	t.Parallel()
	read := func(mode string) report.Findings {
		found, err := report.Go(open(t, "testdata/go/"+mode+".log"), "example.com/shop", shop, report.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	sorted := func(f report.Findings) map[string]int {
		all := map[string]int{}
		for _, a := range f.Annotations {
			all[fmt.Sprintf("%s:%d %s", a.Path, a.Line, a.Title)]++
		}
		return all
	}
	plain, verbose, asJSON := read("plain"), read("verbose"), read("json")
	if d := cmp.Diff(sorted(verbose), sorted(asJSON)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(sorted(plain), sorted(asJSON)); d != "" {
		t.Error(d)
	}
	if verbose.Summary != asJSON.Summary {
		t.Errorf("%+v, %+v", verbose.Summary, asJSON.Summary)
	}
}

func TestJUnitReportsLeadToTheLines(t *testing.T) {
	t.Parallel()
	files := tree("src/price.js", "src/price.test.js", "shop/price.py", "tests/test_price.py", "tests/test_broken.py",
		"src/test/java/com/acme/PriceTest.java", "src/main/java/com/acme/Price.java", "price/price_test.go", "utils.js", ".git/config")
	paths, err := filepath.Glob("testdata/junit/*.xml")
	if err != nil || len(paths) < 5 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			found, err := report.JUnit(open(t, path), files, report.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(path, ".xml")+".txt", found)
			if _, err := json.Marshal(found); err != nil {
				t.Error(err)
			}
		})
	}
}
