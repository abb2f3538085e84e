package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The words of a lock stand in the panel, in the card that people see before they approve, and in answers; the title of a
// commit in the card.
func TestHostileReasonsAndEndlessTitlesAreWords(t *testing.T) {
	t.Parallel()
	h := open(t)
	pwned := filepath.Join(t.TempDir(), "pwned")
	if err := os.Chmod(filepath.Dir(pwned), 0o777); err != nil {
		t.Fatal(err)
	}
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	endless := strings.Repeat("$(touch "+pwned+") `id` | @everyone \u202e ..%2f <img src=x> ", 64<<10/80)
	h.push("change", "author", endless, map[string]string{"page.html": "two", "db/migrations/a b;`id`.sql": "select 1;\n"})
	pull := must(h.gh.OpenPull(repo, "author", "`@everyone` \u202e $(id) | <b>", "change", "main"))(t)
	h.deployed("preview/pr-1", pull.HeadSHA)
	merged := must(h.gh.Merge(repo, pull.Number, "maintainer"))(t)
	h.deployed("staging", merged)
	h.answered(pull, "What ships")
	talk := h.talk()
	for i, words := range hostile(pwned) {
		if i%3 == 0 { // GitHub takes eighty new things a minute
			words = strings.NewReplacer("\r", " ", "\n", " ").Replace(words)
			h.comment(talk, "author", "/lock production "+words+" "+words)
			h.quiet()
			if panel := h.panel(pull.Number); !strings.Contains(panel, "🔒 locked for #2") || len(brokenRows(panel)) > 0 {
				t.Fatalf("with the reason %q the panel is\n%s", words, panel)
			}
		}
	}
	h.comment(talk, "maintainer", "/freeze production `@everyone` | \u202e $(touch "+pwned+")")
	h.answered(talk, "is frozen by @maintainer")
	h.comment(pull, "maintainer", "/reject production@"+merged[:10]+" `@everyone` | \u202e $(touch "+pwned+") "+strings.Repeat("a", 10_000))
	h.answered(pull, "rejected")
	h.comment(talk, "author", "/unlock production")
	h.comment(talk, "maintainer", "/unfreeze production")
	h.answered(talk, "not frozen any more")
	h.ends()
	h.harmless(pwned)
	if panel := h.panel(pull.Number); strings.Contains(panel, "\u202e") || len(panel) > 65536 {
		t.Errorf("the panel is\n%.4000s", panel)
	}
}
