package buildspec_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/buildspec"
)

// cached is the cache of a buildspec whose cache holds some lines, and the messages of its warnings.
func cached(t *testing.T, lines string) (*buildspec.Cache, string) {
	t.Helper()
	s, found := buildspec.Parse("buildspec.yml", []byte("version: 0.2\nphases: {build: {commands: [x]}}\ncache:\n"+lines))
	if len(found.Mistakes) > 0 {
		t.Fatal(found.Mistakes)
	}
	var words []string
	for _, w := range found.Warnings {
		words = append(words, w.Message)
	}
	return s.Cache, strings.Join(words, "\n")
}

func TestThePathsOfACacheAreWholeFolders(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"node_modules/**/*":                      "node_modules",
		"node_modules/**":                        "node_modules",
		"node_modules/*":                         "node_modules",
		"node_modules/":                          "node_modules",
		"./web/node_modules":                     "web/node_modules",
		"/root/.m2/**/*":                         "~/.m2",
		"~/.cache/pip/**/*":                      "~/.cache/pip",
		"$HOME/.npm/**/*":                        "~/.npm",
		"$CODEBUILD_SRC_DIR/vendor/**/*":         "vendor",
		"**/*":                                   "",
		"*":                                      "",
		"target/*.jar":                           "",
		"packages/*/node_modules/**/*":           "",
		"/var/lib/docker/**/*":                   "",
		"/root/**/*":                             "",
		"../next/**/*":                           "",
		"a/../../b":                              "",
		"$OTHER/x":                               "",
		"/usr/local/lib/python3/site-packages/*": "",
	} {
		c, warned := cached(t, "  paths: ['"+written+"']\n")
		if got := strings.Join(c.Folders, " "); got != want {
			t.Errorf("%s stands for %q, want %q", written, got, want)
		}
		if (want == "") != strings.Contains(warned, "is not kept") {
			t.Errorf("%s: warned of %q", written, warned)
		}
	}
}

func TestOfTwoFoldersOfACacheTheOuterOneIsKept(t *testing.T) {
	t.Parallel()
	c, _ := cached(t, "  paths: [a/b, a, a/c/**/*, ab, a]\n")
	if !slices.Equal(c.Folders, []string{"a", "ab"}) {
		t.Error(c.Folders)
	}
}

func TestTheKeyOfACacheNamesFiles(t *testing.T) {
	t.Parallel()
	c, _ := cached(t, "  key: v2-$(codebuild-hash-files ./package-lock.json 'web/*.lock' ../secret /etc/passwd)-x\n  paths: [node_modules]\n")
	spec := c.Spec("buildspec.yml")
	if !slices.Equal(spec.Key, []string{"package-lock.json", "web/*.lock"}) || !strings.HasPrefix(spec.Text, "v2-") {
		t.Error(spec)
	}
	c, _ = cached(t, "  paths: [node_modules]\n")
	spec = c.Spec("ci/[one].yml")
	if spec.Key[0] != `ci/\[one\].yml` || len(spec.Key) != 2 || spec.Text != "" {
		t.Error(spec)
	}
	if c, _ = cached(t, "  paths: ['*.jar']\n"); c.Spec("buildspec.yml") != nil {
		t.Error("a cache without folders is one")
	}
}
