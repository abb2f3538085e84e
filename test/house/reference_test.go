package house

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/planfile"
)

// tables are the rows of a page's tables that stand below a comment <!-- kind: word -->, by that word. The first row
// and the line below it are the heading. A page may have several tables of one word.
func tables(t *testing.T, page, kind string) (found map[string][][]string) {
	t.Helper()
	found = map[string][][]string{}
	var word string
	var inside bool
	skip := 0
	for line := range strings.Lines(read(t, page)) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "<!-- "+kind); ok {
			rest, _ = strings.CutSuffix(rest, "-->")
			word, inside, skip = strings.TrimSpace(strings.TrimPrefix(rest, ":")), true, 2
			continue
		}
		if !inside || !strings.HasPrefix(line, "|") {
			inside = inside && line == "" && skip == 2
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		found[word] = append(found[word], cells)
	}
	if len(found) == 0 {
		t.Fatalf("%s has no table below a comment <!-- %s -->", page, kind)
	}
	return found
}

func rows(t *testing.T, page, kind string) [][]string {
	t.Helper()
	return tables(t, page, kind)[""]
}

// plain is a cell without the backticks around it.
func plain(cell string) string { return strings.Trim(cell, "`") }

// key is a key of the pipeline file: where the schema describes it.
type key struct{ pointer string }

// keysOf walks the schema. A list's items are written as [], a name that people choose as NAME.
func keysOf(node any, pointer, name string, found map[string]key) {
	switch node := node.(type) {
	case []any:
		for i, form := range node {
			keysOf(form, pointer+"/"+strconv.Itoa(i), name, found)
		}
	case map[string]any:
		properties, _ := node["properties"].(map[string]any)
		for word, below := range properties {
			at := strings.TrimPrefix(name+"."+word, ".")
			found[at] = key{pointer + "/properties/" + word}
			keysOf(below, pointer+"/properties/"+word, at, found)
		}
		if rest, ok := node["additionalProperties"].(map[string]any); ok {
			at := strings.TrimPrefix(name+".NAME", ".")
			found[at] = key{pointer + "/additionalProperties"}
			keysOf(rest, pointer+"/additionalProperties", at, found)
		}
		if items, ok := node["items"]; ok {
			keysOf(items, pointer+"/items", name+"[]", found)
		}
		if forms, ok := node["anyOf"]; ok {
			keysOf(forms, pointer+"/anyOf", name, found)
		}
	}
}

func TestEveryKeyOfThePipelineFileIsInItsReference(t *testing.T) {
	t.Parallel()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(planfile.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]key{}
	keysOf(schema, "#", "", keys)
	if len(keys) < 30 {
		t.Fatalf("only %d keys were found in the schema", len(keys))
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("conveyor.json", schema); err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for prefix, cells := range tables(t, "docs/pipeline-file.md", "keys") {
		for _, row := range cells {
			if len(row) != 4 || row[1] == "" || row[3] == "" {
				t.Errorf("the row %v must have four cells: key, default, example, meaning", row)
				continue
			}
			name := strings.TrimPrefix(prefix+"."+plain(row[0]), ".")
			at, known := keys[name]
			if !known {
				t.Errorf("docs/pipeline-file.md tells of the key %s, which the schema does not know", name)
				continue
			}
			told[name] = true
			if err := good(compiler, at, plain(row[2])); err != nil {
				t.Errorf("the example of %s, %s, is not allowed: %v", name, row[2], err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		if !told[name] {
			t.Errorf("docs/pipeline-file.md does not tell of the key %s", name)
		}
	}
}

// good compares an example, one key with its value, with what the schema says of the key.
func good(compiler *jsonschema.Compiler, at key, example string) error {
	schema, err := compiler.Compile("conveyor.json" + at.pointer)
	if err != nil {
		return err
	}
	asJSON, err := yaml.YAMLToJSON([]byte(example))
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return err
	}
	one, ok := value.(map[string]any)
	if !ok || len(one) != 1 {
		return fmt.Errorf("it is not one key with its value")
	}
	for _, v := range one {
		return schema.Validate(v)
	}
	return nil
}

func TestTheDefaultsOfThePipelineFileAreThoseOfTheParser(t *testing.T) {
	t.Parallel()
	plan, problems := planfile.Parse("plan", []byte(`{version: 1, on: {push: {}}, stages: [{name: a, steps: [{name: b, run: c, artifact: {name: d, paths: [e]}}]}],
environments: {f: {on: {branch: main}, artifact: d, target: {static: g}, approve: {by: [admin]}}}}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	approve := plan.Environments[0].Approve
	want := map[string]string{
		"stages[].steps[].timeout":             words(plan.Stages[0].Steps[0].Timeout),
		"environments.NAME.approve.expires":    words(approve.Expires),
		"environments.NAME.approve.count":      strconv.Itoa(approve.Count),
		"environments.NAME.approve.not_author": strconv.FormatBool(approve.NotAuthor),
	}
	for prefix, cells := range tables(t, "docs/pipeline-file.md", "keys") {
		for _, row := range cells {
			name := prefix + "." + plain(row[0])
			if value, ok := want[name]; ok && plain(row[1]) != value {
				t.Errorf("docs/pipeline-file.md says that %s is %s when left out, and it is %s", name, row[1], value)
			}
			delete(want, name)
		}
	}
	if len(want) > 0 {
		t.Errorf("no row tells the default of %v", want)
	}
}

// words writes a duration as plan files do: the largest unit of which there are two or more.
func words(d pipeline.Duration) string {
	if minutes := int(d.Std().Minutes()); minutes%60 == 0 {
		return fmt.Sprintf("%dh", minutes/60)
	}
	return fmt.Sprintf("%dm", int(d.Std().Minutes()))
}

// What people ask for first is named, with what to do instead: by the page and by the parser alike.
func TestWhatThePipelineFileDoesNotTakeYetIsRefusedByName(t *testing.T) {
	t.Parallel()
	places := map[string]string{
		"step":        `{version: 1, on: {push: {}}, stages: [{name: a, steps: [{name: b, run: c, %s: 1}]}]}`,
		"environment": `{version: 1, on: {push: {}}, stages: [{name: a, steps: [{name: b, run: c, artifact: {name: d, paths: [e]}}]}], environments: {f: {on: {branch: main}, artifact: d, target: {static: g}, %s: 1}}}`,
		"target":      `{version: 1, on: {push: {}}, stages: [{name: a, steps: [{name: b, run: c, artifact: {name: d, paths: [e]}}]}], environments: {f: {on: {branch: main}, artifact: d, target: {%s: 1}}}}`,
	}
	for _, row := range rows(t, "docs/pipeline-file.md", "later") {
		name, form := plain(row[0]), places[row[1]]
		if form == "" {
			t.Errorf("%q is no place of a key", row[1])
			continue
		}
		_, problems := planfile.Parse("plan", fmt.Appendf(nil, form, name))
		if !slices.ContainsFunc(problems, func(p pipeline.Problem) bool {
			return strings.Contains(p.Message, "does not support "+strconv.Quote(name)) && p.Hint != ""
		}) {
			t.Errorf("the parser does not say that %s is not supported in a %s: %v", name, row[1], problems)
		}
	}
}

func TestTheCommandsAreThoseThatHelpLists(t *testing.T) {
	t.Parallel()
	table, _, _ := strings.Cut(deploy.HelpText, "\n\n")
	if !strings.Contains(read(t, "docs/pipeline-file.md"), table) {
		t.Errorf("docs/pipeline-file.md must hold the table of /help:\n%s", table)
	}
}
