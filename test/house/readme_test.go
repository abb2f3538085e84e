package house

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/conveyor-ci/conveyor/pipeline/planfile"
)

func TestTwelveLinesAreEnoughForASmallRepository(t *testing.T) {
	t.Parallel()
	blocks, _ := document{"README.md", read(t, "README.md")}.split()
	at := slices.IndexFunc(blocks, func(b fence) bool { return b.word == "yaml" })
	if at < 0 {
		t.Fatal("README.md shows no plan")
	}
	shown := blocks[at].text
	if n := strings.Count(shown, "\n"); n > 12 {
		t.Errorf("the first plan of README.md has %d lines", n)
	}
	plan, problems := planfile.Parse("README.md", []byte(shown))
	if len(problems) > 0 {
		t.Fatalf("the first plan of README.md has mistakes:\n%s", planfile.Format("README.md", []byte(shown), problems))
	}
	if plan.On.Push == nil || plan.On.PullRequest == nil || len(plan.Stages) == 0 {
		t.Error("it must start runs for pushes and for pull requests")
	}
	last := len(plan.Environments) - 1
	if last < 2 || !plan.Environments[0].On.PullRequest || plan.Environments[last].After == "" || plan.Environments[last].Approve == nil {
		t.Error("it must show the whole way: a preview, staging, and production behind a gate")
	}
}

func TestThePlaceForTheDemosOutputIsMarkedOnce(t *testing.T) {
	t.Parallel()
	opened := 0
	for line := range strings.Lines(read(t, "README.md")) {
		if strings.TrimRight(line, "\n") == "<!-- demo output -->" {
			opened++
		}
	}
	if opened != 1 {
		t.Errorf("README.md has %d lines <!-- demo output -->, and needs one", opened)
	}
}

func TestWhoMakesTheAppByHandReadsWhatTheManifestAsks(t *testing.T) {
	t.Parallel()
	var manifest struct {
		Permissions map[string]string `yaml:"default_permissions"`
		Events      []string          `yaml:"default_events"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "manifest.yml")), &manifest); err != nil {
		t.Fatal(err)
	}
	told := rows(t, "docs/operating.md", "permissions")
	asked := map[string]string{}
	for _, cells := range told {
		asked[cells[0]] = cells[1]
	}
	want := map[string]string{}
	for name, level := range manifest.Permissions {
		want["`"+name+"`"] = level
	}
	if !maps.Equal(asked, want) {
		t.Errorf("docs/operating.md tells of the permissions %v, and the manifest asks for %v", asked, want)
	}
	for _, event := range manifest.Events {
		if !strings.Contains(read(t, "docs/operating.md"), "`"+event+"`") {
			t.Errorf("docs/operating.md does not tell of the event %s", event)
		}
	}
}
