package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shownBy is a file and a test in it, as the page of acceptance names them.
var shownBy = regexp.MustCompile("^`([a-z0-9/_]+_test\\.go)` `(Test[A-Za-z0-9]+)`$")

func TestEachCaseOfAcceptanceNamesTestsThatAreThere(t *testing.T) {
	t.Parallel()
	const page = "docs/acceptance.md"
	cases := rows(t, page, "acceptance")
	if len(cases) < 35 {
		t.Fatalf("%s has %d cases", page, len(cases))
	}
	for _, c := range cases {
		if len(c) != 2 || c[0] == "" {
			t.Errorf("a row of %s is no case with its tests: %q", page, c)
			continue
		}
		for _, one := range strings.Split(c[1], ", ") {
			m := shownBy.FindStringSubmatch(one)
			if m == nil {
				t.Errorf("%s: %q names no test; write `path/file_test.go` `TestName`", page, one)
				continue
			}
			text, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(m[1])))
			if err != nil || !strings.Contains(string(text), "\nfunc "+m[2]+"(t *testing.T) {\n") {
				t.Errorf("%s: %s has no test %s", page, m[1], m[2])
			}
		}
	}
}
