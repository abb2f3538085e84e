package app_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// in reads pipelines from files.
func in(files map[string]string) app.Repository {
	return app.Repository{
		Folder: func() (names []string, err error) {
			for file := range files {
				if name, ok := strings.CutPrefix(file, pipeline.PlanFolder+"/"); ok {
					names = append(names, name)
				}
			}
			return names, nil
		},
		File: func(path string, limit int64) ([]byte, error) {
			text, ok := files[path]
			switch {
			case !ok || text == "link":
				return nil, source.ErrNoFile
			case int64(len(text)) > limit:
				return nil, source.ErrTooLarge
			}
			return []byte(text), nil
		},
	}
}

const (
	small  = "version: 1\non: {push: {}}\nstages: [{name: test, steps: [{name: unit, run: make}]}]\n"
	places = "version: 1\non: {push: {}}\nstages: [{name: test, steps: [{name: unit, run: make, artifact: {name: site, paths: [x]}}]}]\nenvironments:\n  staging: {on: {branch: main}, artifact: site, target: {static: a}}\n"
)

// told says of each pipeline its name, and the first of its mistakes.
func told(t *testing.T, files map[string]string) (lines []string) {
	t.Helper()
	all, err := in(files).Pipelines()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		line := p.Plan.Called() + " " + p.Plan.Path()
		if !p.Good() {
			first := p.Problems[0]
			line += fmt.Sprintf(" %s:%d:%d: %s", first.File(), first.Line, first.Column, first.Message)
			if len(p.Plan.Stages)+len(p.Plan.Environments) > 0 || len(p.Plan.On.Schedule) > 0 {
				t.Errorf("a file with a mistake keeps its plan: %s", line)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestEachFileIsAPipelineOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"one, as it always was": {map[string]string{".github/conveyor.yml": small}, []string{"conveyor .github/conveyor.yml"}},
		"named by its file, or by its name": {map[string]string{".github/conveyor.yml": small, ".github/conveyor/b.yml": small, ".github/conveyor/a.yml": "name: z\n" + small},
			[]string{"conveyor .github/conveyor.yml", "z .github/conveyor/a.yml", "b .github/conveyor/b.yml"}},
		"files that are used are none": {map[string]string{".github/conveyor/a.yml": strings.Replace(small, "{name: test, steps: [{name: unit, run: make}]}", "{uses: ./.github/conveyor/part.yml}", 1),
			".github/conveyor/part.yml": "env: {A: b}\nstages: [{name: test, steps: [{name: unit, run: make}]}]\n", ".github/conveyor/notes.md": "x"}, []string{"a .github/conveyor/a.yml"}},
		"a mistake stops no other": {map[string]string{".github/conveyor.yml": "version: [\n", ".github/conveyor/a.yml": small},
			[]string{"conveyor .github/conveyor.yml .github/conveyor.yml:1:", "a .github/conveyor/a.yml"}},
		"a name twice": {map[string]string{".github/conveyor/a.yml": "version: 1\nname: b\n" + small[len("version: 1\n"):], ".github/conveyor/b.yml": small, ".github/conveyor/c.yml": small},
			[]string{`a.yml .github/conveyor/a.yml .github/conveyor/a.yml:2:7: the pipelines of .github/conveyor/a.yml and .github/conveyor/b.yml are both called "b"`,
				`b.yml .github/conveyor/b.yml .github/conveyor/b.yml:1:1: the pipelines of .github/conveyor/b.yml and .github/conveyor/a.yml are both called "b"`, "c .github/conveyor/c.yml"}},
		"what is broken takes no name away": {map[string]string{".github/conveyor/a.yml": "name: b\n" + small, ".github/conveyor/b.yml": "version: 2\n"},
			[]string{"b .github/conveyor/a.yml", "b.yml .github/conveyor/b.yml .github/conveyor/b.yml:1:"}},
		"nobody else is called conveyor": {map[string]string{".github/conveyor.yml": small, ".github/conveyor/conveyor.yml": small},
			[]string{"conveyor .github/conveyor.yml", "conveyor.yml .github/conveyor/conveyor.yml .github/conveyor/conveyor.yml:1:1: conveyor is the pipeline of"}},
		"and conveyor nothing else": {map[string]string{".github/conveyor.yml": "name: shop\n" + small}, []string{"conveyor .github/conveyor.yml .github/conveyor.yml:1:7: this pipeline is called conveyor"}},
		"a file that gives no name": {map[string]string{".github/conveyor/My Build.yml": small, ".github/conveyor/x.yaml": small, ".github/conveyor/y.yml": "link"},
			[]string{"My Build.yml .github/conveyor/My Build.yml .github/conveyor/My Build.yml:1:1: the pipeline cannot be called after its file", "x.yaml .github/conveyor/x.yaml .github/conveyor/x.yaml:1:1: the files of pipelines end with .yml",
				"y .github/conveyor/y.yml .github/conveyor/y.yml:1:1: this is a link"}},
		"environments in the usual file": {map[string]string{".github/conveyor.yml": places, ".github/conveyor/a.yml": places},
			[]string{"conveyor .github/conveyor.yml", "a .github/conveyor/a.yml .github/conveyor/a.yml:4:1: .github/conveyor.yml declares environments, too"}},
		"also while it is broken": {map[string]string{".github/conveyor.yml": places + "oops: 1\n", ".github/conveyor/a.yml": places},
			[]string{"conveyor .github/conveyor.yml .github/conveyor.yml:6:1", "a .github/conveyor/a.yml .github/conveyor/a.yml:4:1: .github/conveyor.yml declares environments, too"}},
		"environments in two others": {map[string]string{".github/conveyor.yml": small, ".github/conveyor/a.yml": places, ".github/conveyor/b.yml": places},
			[]string{"conveyor .github/conveyor.yml", "a .github/conveyor/a.yml .github/conveyor/a.yml:4:1: .github/conveyor/b.yml declares environments, too", "b .github/conveyor/b.yml .github/conveyor/b.yml:4:1: .github/conveyor/a.yml declares"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := told(t, c.files)
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("read are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
	if _, err := in(nil).Pipelines(); !errors.Is(err, source.ErrNoFile) {
		t.Errorf("of a repository without any is said: %v", err)
	}
}

func TestAFolderOfHundredsOfPipelinesStopsNoOther(t *testing.T) {
	t.Parallel()
	for n, says := range map[int]string{20: "more than 20 pipelines", 300: "more than 100 files"} {
		files := map[string]string{".github/conveyor.yml": small}
		for i := range n {
			files[fmt.Sprintf(".github/conveyor/p%03d.yml", i)] = small
		}
		got := told(t, files)
		if len(got) != 2 || got[0] != "conveyor .github/conveyor.yml" || !strings.HasPrefix(got[1], ".github/conveyor .github/conveyor/p000.yml .github/conveyor/p000.yml:1:1: ") || !strings.Contains(got[1], says) {
			t.Errorf("of %d files is said %q", n, got)
		}
	}
}
