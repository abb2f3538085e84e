package condition_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/planfile/condition"
)

// asked compiles a condition and asks it.
func asked(t *testing.T, text string, f condition.Facts) (bool, error) {
	t.Helper()
	c, faults := condition.Compile(text)
	if len(faults) > 0 {
		t.Fatalf("%s has faults: %+v", text, faults)
	}
	return c.Holds(t.Context(), f)
}

func TestAConditionIsAskedOfTheFacts(t *testing.T) {
	t.Parallel()
	facts := condition.Facts{
		Event: "pull_request", Branch: "fix", Base: "main", DefaultBranch: "main", Commit: strings.Repeat("a", 40), Title: "Fix [skip docs]",
		Repository: "octo/shop", Actor: "mona", Trust: "writer", Pull: 12, Fork: false, Env: map[string]string{"LEVEL": "full"},
		Changed: []string{"web/a.js", "README.md"}, Failed: true,
		Steps: map[string]condition.Step{"unit": {Outcome: "failed"}, "unit-2": {Outcome: "passed", Outputs: map[string]string{"version": "1.2"}}},
	}
	for text, want := range map[string]bool{
		`event == "pull_request" && base == default_branch`: true,
		`event == 'push'`:                                 false,
		`pull > 10 && !fork && trust == "writer"`:         true,
		`branch.startsWith("fix") && commit.size() == 40`: true,
		`title.contains("[skip docs]")`:                   true,
		`env.LEVEL == "full" && !("OTHER" in env)`:        true,
		`changed.exists(p, p.startsWith("web/"))`:         true,
		`changed.all(p, p.endsWith(".md"))`:               false,
		`steps.unit.outcome == "failed"`:                  true,
		`steps["unit-2"].outputs.version == "1.2"`:        true,
		`failure()`: true,
		`success()`: false,
		`always()`:  true,
		`actor in ["mona", "hubot"] && repository == "octo/shop"`: true,
		`true`: true,
	} {
		if got, err := asked(t, text, facts); err != nil || got != want {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
}

func TestWhatAConditionAsksForIsKnownBeforeItIsAsked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`event == "push"`: "after=false changed=false []",
		`failure() && steps.unit.outcome != steps["a b"].outcome`: "after=true changed=false [{unit 13} {a b 35}]",
		`!success()`:                  "after=true changed=false []",
		`always()`:                    "after=true changed=false []",
		`changed.exists(p, p == "x")`: "after=false changed=true []",
	} {
		c, faults := condition.Compile(text)
		if len(faults) > 0 {
			t.Fatalf("%s: %+v", text, faults)
		}
		if got := fmt.Sprintf("after=%v changed=%v %v", c.After, c.Changed, c.Steps); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestTextFromOutsideIsNeverReadAsACondition(t *testing.T) {
	t.Parallel()
	for _, title := range []string{`" || true || "`, `true`, `always()`, "\x00", strings.Repeat("(", 10_000)} {
		if got, err := asked(t, `title == "x" && branch == "y"`, condition.Facts{Title: title, Branch: title}); got || err != nil {
			t.Errorf("%.20q: %v, %v", title, got, err)
		}
	}
}

func TestAConditionThatCostsTooMuchIsNotAskedToItsEnd(t *testing.T) {
	t.Parallel()
	many := make([]string, 10_000)
	if _, err := asked(t, `changed.all(a, changed.all(b, changed.all(c, a + b + c == "")))`, condition.Facts{Changed: many}); err == nil || !strings.Contains(err.Error(), "cost") {
		t.Errorf("it was asked to its end: %v", err)
	}
	if got, err := asked(t, `changed.all(a, !a.startsWith("web/"))`, condition.Facts{Changed: many}); !got || err != nil {
		t.Errorf("one look at each of %d paths is too much: %v", len(many), err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("over"))
	c, _ := condition.Compile(`changed.all(a, a == "")`)
	if _, err := c.Holds(ctx, condition.Facts{Changed: many}); err == nil {
		t.Error("it goes on after its end")
	}
}

func TestAConditionThatIsLargeOrDeepIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		strings.Repeat("a", condition.MaxLength+1), strings.Repeat("(", 400) + "true" + strings.Repeat(")", 400), strings.Repeat("[", 990),
		"", "\x00", "\"", "event.x.y", "steps", "1", `"true"`, "null", "__proto__",
	} {
		if c, faults := condition.Compile(text); c != nil || len(faults) == 0 {
			t.Errorf("%.30q is a condition", text)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{`event == "push"`, `steps.unit.outcome == 'failed' && failure()`, `changed.exists(p, p.startsWith("web/"))`, `a[`, `"\xff"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, faults := condition.Compile(text)
		if (c == nil) == (len(faults) == 0) {
			t.Fatalf("%q gives %v and %v", text, c, faults)
		}
		for _, fault := range faults {
			if fault.At < 0 || fault.At > len([]rune(text))+1 || fault.Message == "" {
				t.Fatalf("%q: %+v", text, fault)
			}
		}
		if c != nil {
			_, _ = c.Holds(t.Context(), condition.Facts{}) // whatever it says, it comes to an end
		}
	})
}
