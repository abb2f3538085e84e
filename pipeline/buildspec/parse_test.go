package buildspec_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/buildspec"
	"github.com/conveyor-ci/conveyor/test/golden"
)

func lines(what string, problems []pipeline.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "%s %d:%d: %s", what, p.Line, p.Column, p.Message)
		if p.Hint != "" {
			b.WriteString("; " + p.Hint)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestAGoodBuildspecIsReadAsItSays(t *testing.T) {
	t.Parallel()
	golden.Each(t, "testdata/good/*.yml", func(t *testing.T, path string, data []byte) {
		s, found := buildspec.Parse("buildspec.yml", data)
		if len(found.Mistakes) > 0 {
			t.Fatalf("a good file has mistakes:\n%s", lines("mistake", found.Mistakes))
		}
		if !buildspec.Recognised(data) {
			t.Error("it is not recognised")
		}
		got, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden.Equal(t, strings.TrimSuffix(path, ".yml")+".txt", string(got)+"\n"+lines("warning", found.Warnings))
	})
}

func TestABadBuildspecSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	golden.Each(t, "testdata/bad/*.yml", func(t *testing.T, path string, data []byte) {
		s, found := buildspec.Parse("buildspec.yml", data)
		if len(found.Mistakes) == 0 {
			t.Fatal("no mistake was found")
		}
		if s.Version != "" || len(s.Build.Commands) > 0 {
			t.Error("a file with mistakes must give no spec")
		}
		for _, p := range found.Mistakes {
			if p.Line < 1 || p.Column < 1 || p.Message == "" {
				t.Errorf("a mistake without a place: %+v", p)
			}
		}
		golden.Equal(t, strings.TrimSuffix(path, ".yml")+".txt", lines("mistake", found.Mistakes)+lines("warning", found.Warnings))
	})
}

func TestTheScriptOfABuildspecIsAlwaysTheSame(t *testing.T) {
	t.Parallel()
	golden.Each(t, "testdata/good/*.yml", func(t *testing.T, _ string, data []byte) {
		s, _ := buildspec.Parse("buildspec.yml", data)
		first := buildspec.Script(s, nil)
		for range 10 {
			if buildspec.Script(s, nil) != first {
				t.Fatal("two scripts of one buildspec differ")
			}
		}
		if strings.Contains(first, "#@") {
			t.Error("a part of the script was not filled in")
		}
	})
}

func TestWhatThePlanGivesGoesBeforeWhatTheBuildspecSays(t *testing.T) {
	t.Parallel()
	s, _ := buildspec.Parse("buildspec.yml", []byte("version: 0.2\nenv: {variables: {A: file, B: file}}\nphases: {build: {commands: [x]}}\n"))
	script := buildspec.Script(s, map[string]string{"A": "plan"})
	if strings.Contains(script, "export A=") || !strings.Contains(script, "export B='file'") {
		t.Error(script)
	}
}

func TestABuildspecInCapitalsIsRecognisedAndCorrected(t *testing.T) {
	t.Parallel()
	if !buildspec.Recognised([]byte("version: 0.2\nPhases:\n  Build:\n    Commands: [x]\n")) {
		t.Error("it is taken for something else, whose mistakes would not help")
	}
}

func TestAnythingElseIsNotRecognised(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "version: 1\non: {push: {}}\nstages: []\n", "version: 0.0\nos: linux\n", "- a\n", "a: [\n"} {
		if buildspec.Recognised([]byte(text)) {
			t.Errorf("%q is recognised", text)
		}
	}
}

// FuzzParse wants an answer to every file: a spec, or mistakes with their places; and a script of every spec.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob("testdata/*/*.yml")
	if err != nil || len(paths) == 0 {
		f.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, found := buildspec.Parse("buildspec.yml", data)
		if (s.Version == "") != (len(found.Mistakes) > 0) {
			t.Fatalf("version %q and %d mistakes", s.Version, len(found.Mistakes))
		}
		for _, p := range append(found.Mistakes, found.Warnings...) {
			if p.Line < 1 || p.Column < 1 || p.Message == "" || strings.ContainsAny(p.Message+p.Hint, "\n\x1b\x00") {
				t.Fatalf("%+v", p)
			}
		}
		if s.Version != "" {
			if script := buildspec.Script(s, nil); strings.Contains(script, "\x00") {
				t.Fatal("the script holds a NUL")
			}
		}
	})
}

func TestAFileFromWindowsIsReadAsAnyOther(t *testing.T) {
	t.Parallel()
	s, found := buildspec.Parse("buildspec.yml", []byte("\ufeffversion: 0.2\r\nphases:\r\n  build:\r\n    commands:\r\n      - echo one\r\n      - |\r\n        echo two\r\n        \techo three\r\n"))
	if len(found.Mistakes) > 0 || strings.Join(s.Build.Commands, "|") != "echo one|echo two\n\techo three\n" {
		t.Errorf("%q, %v", s.Build.Commands, found.Mistakes)
	}
}

func TestTheRetryOfAPhaseNamesNoPatternThatTheSandboxCannotRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"RETRY", "RETRY-0", "RETRY-100", "RETRY-x", "RETRY-7-x", "RETRY-7x", "ABORT", "CONTINUE"} {
		if _, message, _ := buildspec.ParseOnFailure(text); message != "" {
			t.Errorf("%s: %s", text, message)
		}
	}
	for _, text := range []string{"", "RETRY-101", "RETRY-999999999", `RETRY-\bx`, "RETRY-(?=x)", "RETRY-(", "ABORT-2", "retry", "STOP", "RETRY-" + strings.Repeat("(a{50}){20}", 9)} {
		if o, message, hint := buildspec.ParseOnFailure(text); message == "" || hint == "" || o.Word != "" {
			t.Errorf("%s is accepted as %+v", text, o)
		}
	}
}
