package deploy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// The rules and the words around them are those of GitHub's page about code owners.
const codeowners = `
# This is a comment.
*       @global-owner1 @global-owner2
*.js    @js-owner #This is an inline comment.
*.go docs@example.com
*.txt @octo/octo-team
/build/logs/ @doctocat
docs/* @docs
apps/ @octocat
/scripts/ @doctocat @octocat
**/logs @log-owner
/apps/ @octocat
/apps/github
/apps/github/keep @doctocat
a\ b/ @blank
!x.md @negated
[a-z].md @range
\#hash @hash
bad.md @-no-
`

func TestTheLastLineThatFitsSaysWhoOwnsAFile(t *testing.T) {
	t.Parallel()
	o, complete := deploy.ParseOwners([]byte(codeowners), "octo")
	if !complete {
		t.Fatal("it was not read whole")
	}
	for file, want := range map[string]string{
		"README.md":                  "@global-owner1 @global-owner2",
		"src/deep/x.js":              "@js-owner",
		"x.go":                       "docs@example.com",
		"a/b.txt":                    "@octo/octo-team",
		"build/logs/today/x":         "@log-owner",
		"build/x":                    "@global-owner1 @global-owner2",
		"deeply/nested/logs":         "@log-owner",
		"logs/x.js":                  "@log-owner",
		"docs/getting-started.md":    "@docs",
		"docs/build-app/troubles.md": "@global-owner1 @global-owner2",
		"sub/docs/x.md":              "@global-owner1 @global-owner2",
		"sub/apps/x":                 "@octocat",
		"apps/x":                     "@octocat",
		"apps/github/x":              "",
		"apps/github/keep/x":         "@doctocat",
		"scripts/a/b":                "@doctocat @octocat",
		"scripts":                    "@global-owner1 @global-owner2",
		"a b/c":                      "@blank",
		"x.md":                       "@global-owner1 @global-owner2",
		"#hash":                      "@global-owner1 @global-owner2",
		"bad.md":                     "@global-owner1 @global-owner2",
		"APPS/x":                     "@global-owner1 @global-owner2",
	} {
		if got := strings.Join(o.Of(file), " "); got != want {
			t.Errorf("%s belongs to %q, and should to %q", file, got, want)
		}
	}
}

func TestATeamOfElsewhereIsNobodyWhoCanBeRecognised(t *testing.T) {
	t.Parallel()
	o, _ := deploy.ParseOwners([]byte("* @evil/release @OCTO/release\n"), "octo")
	if got := o.Of("x"); !slices.Equal(got, []string{"@OCTO/release", "evil/release"}) {
		t.Error(got)
	}
}

func TestAFileWithTooManyRulesIsNotUsed(t *testing.T) {
	t.Parallel()
	if o, complete := deploy.ParseOwners([]byte(strings.Repeat("* @mona\n", 5001)), "octo"); complete || len(o.Of("x")) > 0 {
		t.Error("it is used")
	}
}

func FuzzOwners(f *testing.F) {
	f.Add([]byte(codeowners), "apps/github/x")
	f.Add([]byte("**/**/**a**/**/b/** @x\n"+strings.Repeat("*a", 200)+" @y\n"), strings.Repeat("a", 300)+"/"+strings.Repeat("b/", 200))
	f.Add([]byte("/ @x\n// @x\n** @x\n\\ @x\n@x\n"), "")
	f.Fuzz(func(t *testing.T, file []byte, path string) {
		o, complete := deploy.ParseOwners(file, "octo")
		owners := o.Of(path)
		if !complete && owners != nil {
			t.Error("half a file counts")
		}
		if len(owners) > 30 || !slices.IsSorted(owners) {
			t.Errorf("%q", owners)
		}
		for _, owner := range owners {
			if owner == "" || strings.ContainsAny(owner, " \t\n") || len(owner) > 151 {
				t.Errorf("%q owns something", owner)
			}
		}
		if all, ok := deploy.ParseOwners(append(slices.Clone(file), "\n* @last\n"...), "octo"); ok && path != "" && !slices.Equal(all.Of(path), []string{"@last"}) {
			t.Errorf("the last line does not decide about %q: %q", path, all.Of(path))
		}
	})
}

func TestFilesThatDeserveALookAreNamed(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		".github/conveyor.yml": "the pipeline itself", ".github/workflows/x.yml": "continuous integration", "db/migrations/7.rb": "migration", "schema.SQL": "migration",
		"go.sum": "dependencies", "web/package-lock.json": "dependencies", "Dockerfile": "image", "x/Dockerfile.prod": "image", "docs/CODEOWNERS": "owners",
		"src/main.go": "", "migrations.go": "", "not.github/x": "", "mydockerfile": "",
	} {
		if got := deploy.Risk(file); got != want {
			t.Errorf("%s: %q, and should be %q", file, got, want)
		}
	}
}

// Whatever ships, a card is of a size that a journal and a page can take, and its hash hangs on all that it says.
func TestACardIsBounded(t *testing.T) {
	t.Parallel()
	var files []string
	var people []pipeline.Actor
	for i := range 5000 {
		files = append(files, strings.Repeat("x", 3000)+"/"+strings.Repeat("y", i%50)+"/Dockerfile")
		people = append(people, pipeline.Actor{ID: int64(i + 1), Login: strings.Repeat("l", 39)})
	}
	owners, _ := deploy.ParseOwners([]byte("* "+strings.Repeat("@"+strings.Repeat("o", 5000)+" ", 500)), "octo")
	c := deploy.Card{}.WithFiles(files, owners).WithPeople(people...)
	if c.FileCount != 5000 || c.RiskyCount != 5000 || len(c.Risky) != deploy.CardRisky || len(c.Contributors) != deploy.CardContributors || c.CommitsGap == "" {
		t.Errorf("%d files, %d risky, %d people, %q", c.FileCount, len(c.Risky), len(c.Contributors), c.CommitsGap)
	}
	other := c
	other.FileCount++
	if c.Hash() == other.Hash() || c.Hash() != c.WithPeople().Hash() {
		t.Error("the hash does not follow what the card says")
	}
}
