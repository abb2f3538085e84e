package planfile_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/planfile"
)

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAFileThatIsTooLargeIsRefusedUnread(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ data, want string }{
		"bytes":        {strings.Repeat("#\n", planfile.MaxBytes), "larger than 256 KiB"},
		"lines":        {strings.Repeat("\n", 10_001), "more than 10000 lines"},
		"tokens":       {strings.Repeat("a: {b, c, d, e, f}\n", 3000), "more than 20000 words"},
		"key":          {"\"" + strings.Repeat("k", 200) + "\": 1\n", "longer than 128 bytes"},
		"stages":       {small(101, 1), `"stages" has 101 items`},
		"steps":        {small(50, 5), "more than 200 steps"},
		"environments": {small(1, 1) + many(51), `"environments" has 51 keys`},
	} {
		_, problems := planfile.Parse("conveyor.yml", []byte(c.data))
		if got := planfile.Format("conveyor.yml", nil, problems); !strings.Contains(got, c.want) {
			t.Errorf("%s: want %q in:\n%s", name, c.want, got)
		}
	}
}

// small is a good plan with as many stages, and as many steps in each.
func small(stages, steps int) string {
	var b strings.Builder
	b.WriteString("version: 1\non: {push: {}}\nstages:\n")
	for i := range stages {
		fmt.Fprintf(&b, "- name: stage-%d\n  steps:\n", i)
		for j := range steps {
			fmt.Fprintf(&b, "  - {name: step-%d-%d, run: make, artifact: {name: a-%d-%d, paths: [x]}}\n", i, j, i, j)
		}
	}
	return b.String()
}

func many(environments int) string {
	var b strings.Builder
	b.WriteString("environments:\n")
	for i := range environments {
		fmt.Fprintf(&b, "  env-%d: {on: {branch: main}, artifact: a-0-0, target: {static: /srv}}\n", i)
	}
	return b.String()
}

func TestTheLargestPlanIsRead(t *testing.T) {
	t.Parallel()
	data := []byte(small(100, 2) + many(50))
	plan, problems := planfile.Parse("conveyor.yml", data)
	if len(problems) > 0 {
		t.Fatal(planfile.Format("conveyor.yml", data, problems))
	}
	if len(plan.Stages) != 100 || len(plan.Environments) != 50 || plan.Environments[49].Name != "env-49" {
		t.Errorf("read %d stages and %d environments", len(plan.Stages), len(plan.Environments))
	}
}

// The YAML parser's time grows with the square of some things. The limits must keep the worst of them short.
func TestAFileMadeToBeSlowIsReadSoon(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var wide, deep strings.Builder
	for i := range 6500 {
		fmt.Fprintf(&wide, "k%d: 1\n", i)
	}
	key := strings.Repeat("k", 120)
	for i := range 30 {
		fmt.Fprintf(&deep, "%s%s:\n", strings.Repeat(" ", i), key)
	}
	for i := range 1300 {
		fmt.Fprintf(&deep, "%s%s%d: 1\n", strings.Repeat(" ", 30), key[:100], i)
	}
	for name, data := range map[string]string{
		"many keys":     wide.String(),
		"deep keys":     deep.String(),
		"open keys":     strings.Repeat("a:\n", 6600),
		"braces":        "x: {" + strings.Repeat("a: b,\n", 4900) + "}",
		"only braces":   strings.Repeat("{", planfile.MaxBytes-1),
		"tabs":          strings.Repeat(strings.Repeat("? \t\"", 990)+"\n", 60),
		"block scalars": strings.Repeat("|\n", 9900),
	} {
		began := worked(t)
		if _, problems := planfile.Parse("conveyor.yml", []byte(data)); len(problems) == 0 {
			t.Errorf("%s: no mistake was found", name)
		}
		if took := worked(t) - began; took > 5*time.Second {
			t.Errorf("%s: %d bytes took %v of a processor", name, len(data), took)
		}
	}
}

// worked is how long a processor has worked for this thread. Who else is on the machine makes no difference to it.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func TestMoreThanTheServerGivesIsAMistakeWithItsPlace(t *testing.T) {
	t.Parallel()
	data := []byte("version: 1\non: {push: {}}\nstages:\n- name: a\n  steps:\n  - {name: b, run: c, resources: {memory: 5G, cpu: 2.5, pids: 65}}\n" +
		"  - {name: d, run: c, services: {db: {image: x, ready: {port: 1}, resources: {memory: 5G}}}}\n")
	most := pipeline.Resources{Memory: 4 << 30, CPUs: 2, PIDs: 64}
	_, problems := planfile.ParseFor("conveyor.yml", data, planfile.Options{Most: most})
	got := planfile.Format("conveyor.yml", nil, problems)
	for _, want := range []string{
		"conveyor.yml:6:43: a step may use 4G of memory on this server, and this is 5G;",
		"conveyor.yml:6:52: a step may use 2 processors on this server, and this is 2.5;",
		"conveyor.yml:6:63: a step may use 64 processes on this server, and this is 65;",
		"conveyor.yml:7:87: a service may use 4G of memory on this server, and this is 5G; ask for less\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in:\n%s", want, got)
		}
	}
	if _, problems := planfile.ParseFor("conveyor.yml", data, planfile.Options{Most: pipeline.Resources{Memory: 5 << 30, CPUs: 2.5, PIDs: 65}}); len(problems) > 0 {
		t.Errorf("what the server gives is refused: %+v", problems)
	}
}

func TestManyMistakesAreCutShort(t *testing.T) {
	t.Parallel()
	_, problems := planfile.Parse("conveyor.yml", []byte(small(1, 1)+strings.Repeat("y", 1)+":\n"+strings.ReplaceAll(many(60), "target", "tarqet")))
	if len(problems) != 51 || !strings.Contains(problems[50].Message, "more mistakes") {
		t.Errorf("%d problems, the last is %+v", len(problems), problems[len(problems)-1])
	}
}

func TestAMisspeltKeyHidesNothing(t *testing.T) {
	t.Parallel()
	data := []byte("version: 1\non: {push: {}}\nstages:\n- name: a\n  stesp:\n  - {name: b, run: make, artefact: {nmae: site, paths: [x]}}\n" +
		"environments:\n  staging: {on: {branch: main}, artifact: site, target: {static: /srv}}\n")
	_, problems := planfile.Parse("conveyor.yml", data)
	if len(problems) != 3 {
		t.Errorf("three keys are misspelt, and these are the mistakes:\n%s", planfile.Format("conveyor.yml", data, problems))
	}
}

func TestBranchesMatchByTheirGlobs(t *testing.T) {
	t.Parallel()
	some := func(globs ...string) *pipeline.Filter { return &pipeline.Filter{Branches: globs} }
	for _, c := range []struct {
		filter *pipeline.Filter
		branch string
		want   bool
	}{
		{nil, "main", false},
		{some(), "main", true},
		{some("main"), "main", true},
		{some("main"), "main2", false},
		{some("main"), "x/main", false},
		{some("*"), "main", true},
		{some("*"), "release/1", false},
		{some("**"), "release/1/2", true},
		{some("release/**"), "release/1", true},
		{some("release/**"), "release/1/2", true},
		{some("release/**"), "prerelease/1", false},
		{some("release/*"), "release/1/2", false},
		{some("v[0-9]*"), "v1.2", true},
		{some("{main,next}"), "next", true},
		{some("a", "main"), "main", true},
		{some("["), "[", false},
		{some("main"), "", false},
	} {
		if got := planfile.Matches(c.filter, c.branch); got != c.want {
			t.Errorf("Matches(%+v, %q) = %v", c.filter, c.branch, got)
		}
	}
}

func TestOnlyWhatThePlanSaysChangesItsHash(t *testing.T) {
	t.Parallel()
	hash := func(data string) string {
		plan, problems := planfile.Parse("conveyor.yml", []byte(data))
		if len(problems) > 0 {
			t.Fatal(planfile.Format("conveyor.yml", []byte(data), problems))
		}
		return planfile.Hash(plan)
	}
	one := hash("version: 1\non: {push: {}}\nstages: [{name: a, steps: [{name: b, run: make, env: {X: 1, Y: 2}}]}]\n")
	same := hash("# hello\non:\n  push: {}\nversion: 1\nstages:\n- steps:\n  - {run: 'make', name: b, timeout: 30m, env: {Y: '2', X: '1'}}\n  name: a\n")
	other := hash("version: 1\non: {push: {}}\nstages: [{name: a, steps: [{name: b, run: make, env: {X: 1, Y: 3}}]}]\n")
	if one != same {
		t.Error("layout, comments, order of keys and a default written out must not change the hash")
	}
	if one == other || len(one) != 64 {
		t.Errorf("another value must change the hash: %s, %s", one, other)
	}
}

func TestTheTerminalIsSafeFromTheFile(t *testing.T) {
	t.Parallel()
	data := []byte("version: 1\nk\x1b[2J\u202e: \"\x1b]0;owned\x07\"\n" + strings.Repeat(" ", 300) + "x: 1\n")
	_, problems := planfile.Parse("conveyor.yml", data)
	got := planfile.Format("conveyor.yml", data, problems)
	if len(problems) == 0 || strings.ContainsAny(got, "\x1b\x07\u202e") {
		t.Errorf("%q", got)
	}
	for line := range strings.SplitSeq(got, "\n") {
		if utf8.RuneCountInString(line) > 300 {
			t.Errorf("a line has %d characters", utf8.RuneCountInString(line))
		}
	}
}

// Every plan in the form that Parse gives can be written as JSON, which is YAML, and is read as the same plan.
func TestAPlanThatIsWrittenIsReadAsTheSame(t *testing.T) {
	t.Parallel()
	name := rapid.StringMatching(`[a-z0-9][a-z0-9_-]{0,39}`)
	words := rapid.StringOfN(rapid.RuneFrom([]rune(" \tabcÄ日#:-'\"{}[]&*!|>%@`\\,?=~\n")), 1, 30, -1).
		Filter(func(s string) bool { return strings.TrimSpace(s) != "" })
	rapid.Check(t, func(t *rapid.T) {
		stages := rapid.SliceOfNDistinct(name.Filter(func(s string) bool { return s != "plan" }), 1, 4, rapid.ID[string]).Draw(t, "stages")
		steps := rapid.SliceOfNDistinct(name, len(stages), len(stages), rapid.ID[string]).Draw(t, "steps")
		var doc struct {
			Version int              `json:"version"`
			On      map[string]any   `json:"on"`
			Stages  []map[string]any `json:"stages"`
		}
		doc.Version, doc.On = 1, map[string]any{"push": map[string]any{}}
		for i := range stages {
			doc.Stages = append(doc.Stages, map[string]any{"name": stages[i], "steps": []any{map[string]any{
				"name": steps[i], "run": words.Draw(t, "run"), "env": map[string]string{"X": words.Draw(t, "value")},
				"timeout": fmt.Sprintf("%dm", rapid.IntRange(1, 360).Draw(t, "minutes")),
			}}})
		}
		data, err := json.MarshalIndent(doc, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		plan, problems := planfile.Parse("conveyor.yml", data)
		if len(problems) > 0 {
			t.Fatal(planfile.Format("conveyor.yml", data, problems))
		}
		for i, stage := range plan.Stages {
			want := doc.Stages[i]["steps"].([]any)[0].(map[string]any)
			got := stage.Steps[0]
			if stage.Name != stages[i] || got.Name != steps[i] || got.Run != want["run"] || got.Env["X"] != want["env"].(map[string]string)["X"] {
				t.Fatalf("wrote %q, read %+v", want, got)
			}
		}
		stored, err := json.Marshal(plan)
		if err != nil {
			t.Fatal(err)
		}
		var again pipeline.Plan
		if err := json.Unmarshal(stored, &again); err != nil {
			t.Fatal(err)
		}
		if planfile.Hash(plan) != planfile.Hash(again) {
			t.Fatal("a stored plan has another hash")
		}
	})
}

func FuzzParse(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*/*.yml")
	for _, path := range paths {
		f.Add(read(f, path))
	}
	for _, s := range []string{"{{{", "- - - - ", "a:\n a:\n  a:\n", "\"\t\"\t", "&a *a", "? ", "!!map !!map", "|\n|\n", "\r\r", "[a: b: c: d", "a: |9\n x", "%\n---"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		began := time.Now()
		plan, problems := planfile.Parse("conveyor.yml", data)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%d bytes took %v", len(data), took)
		}
		if (len(problems) == 0) != (plan.Version == 1) {
			t.Errorf("either a plan or problems: %+v, %+v", plan, problems)
		}
		count := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 1
		for _, p := range problems {
			if p.Line < 1 || p.Line > count || p.Column < 1 || p.Column > utf8.RuneCount(data)+1 || p.Message == "" {
				t.Errorf("%+v is not in a file of %d lines", p, count)
			}
			if !utf8.ValidString(p.Message+p.Hint) || len(p.Message) > 2000 {
				t.Errorf("%q", p.Message)
			}
		}
		if out := planfile.Format("conveyor.yml", data, problems); strings.ContainsFunc(out, func(r rune) bool { return r < ' ' && r != '\n' }) {
			t.Errorf("%q", out)
		}
	})
}
