package house

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

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

// setting is a flag of the server.
type setting struct{ flag, standard string }

// settings reads the server's flags from their struct.
func settings(t *testing.T) map[string]setting {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(top, "cmd/conveyor/serve.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]setting{}
	ast.Inspect(file, func(n ast.Node) bool {
		f, ok := n.(*ast.Field)
		if !ok || f.Tag == nil || len(f.Names) != 1 {
			return true
		}
		text, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			t.Error(err)
			return true
		}
		tag := reflect.StructTag(text)
		name := tag.Get("name")
		if name == "" {
			name = dashed(f.Names[0].Name)
		}
		if env := tag.Get("env"); env != "" {
			found[env] = setting{"--" + name, tag.Get("default")}
		}
		return true
	})
	return found
}

// dashed is a field's name as a flag: AppID is app-id.
func dashed(name string) string {
	var b strings.Builder
	letters := []rune(name)
	for i, r := range letters {
		if i > 0 && unicode.IsUpper(r) && (unicode.IsLower(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1])) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

var variable = regexp.MustCompile(`CONVEYOR_[A-Z][A-Z_]*[A-Z]`)

func TestEverySettingIsInTheOperatorsPage(t *testing.T) {
	t.Parallel()
	known := settings(t)
	if len(known) < 15 {
		t.Fatalf("only %d settings were found", len(known))
	}
	told := map[string][]string{}
	for _, cells := range tables(t, "docs/operating.md", "settings") {
		for _, row := range cells {
			told[plain(row[0])] = row
		}
	}
	for name, s := range known {
		row := told[name]
		if len(row) != 4 || row[3] == "" {
			t.Errorf("docs/operating.md has no row of four cells for %s", name)
			continue
		}
		if plain(row[1]) != s.flag {
			t.Errorf("docs/operating.md calls the flag of %s %s, and it is %s", name, row[1], s.flag)
		}
		if s.standard != "" && !strings.HasPrefix(row[2], "`"+s.standard+"`") {
			t.Errorf("docs/operating.md says that %s is %s by default, and it is %s", name, row[2], s.standard)
		}
	}
	// Variables without a flag: secrets.
	for _, name := range variable.FindAllString(read(t, "cmd/conveyor/serve.go"), -1) {
		if told[name] == nil {
			t.Errorf("docs/operating.md does not tell of %s", name)
		}
	}
}

func TestNoDocumentNamesAVariableThatThereIsNot(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, folder := range []string{"app", "cmd/conveyor", "deploy/target/exec", "pipeline/sandbox", "pipeline/planfile"} {
		files, err := filepath.Glob(filepath.Join(top, folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range append(files, filepath.Join(top, "Makefile")) {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range variable.FindAllString(string(b), -1) {
				known[v] = true
			}
		}
	}
	for _, d := range documents(t) {
		for _, v := range variable.FindAllString(d.text, -1) {
			if !known[v] {
				t.Errorf("%s names %s, which nothing reads or sets", d.name, v)
			}
		}
	}
}

func TestEveryVariableOfAStepIsInTheReference(t *testing.T) {
	t.Parallel()
	page := read(t, "docs/pipeline-file.md")
	names := variable.FindAllString(read(t, "app/do_exec.go"), -1)
	if len(names) < 5 {
		t.Fatalf("only %v were found", names)
	}
	for _, name := range append(names, "CONVEYOR=true") {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/pipeline-file.md does not tell steps of %s", name)
		}
	}
}

func TestEveryMetricIsInTheOperatorsPage(t *testing.T) {
	t.Parallel()
	page := read(t, "docs/operating.md")
	names := regexp.MustCompile(`"(conveyor_[a-z_]+)"`).FindAllStringSubmatch(read(t, "app/meter.go"), -1)
	if len(names) < 3 {
		t.Fatalf("only %v were found", names)
	}
	for _, m := range names {
		if !strings.Contains(page, "`"+m[1]+"`") {
			t.Errorf("docs/operating.md does not tell of the metric %s", m[1])
		}
	}
}

func TestTheTableOfRoomsIsTheOneThatIsKept(t *testing.T) {
	t.Parallel()
	told := map[string][]string{}
	for _, row := range rows(t, "docs/architecture.md", "rooms") {
		told[plain(row[0])] = row
	}
	for _, r := range rooms {
		ours, vendors := listed(r.ours), listed(r.vendors)
		row := told[r.room]
		if len(row) != 4 || row[1] == "" || row[2] != ours || row[3] != vendors {
			t.Errorf("docs/architecture.md must have the row\n| `%s` | what it is | %s | %s |\nand has %v", r.room, ours, vendors, row)
		}
		delete(told, r.room)
	}
	for room := range told {
		t.Errorf("docs/architecture.md tells of the room %s, which is not in the table of TestEveryRoomImportsOnlyWhatItMay", room)
	}
}

func listed(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

func TestEveryDecisionIsListed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(top, "docs/decisions/0*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no decisions were found: %v", err)
	}
	list := read(t, "docs/decisions/README.md")
	for i, name := range files {
		base := filepath.Base(name)
		if !strings.HasPrefix(base, fmt.Sprintf("%04d-", i+1)) {
			t.Errorf("%s breaks the numbering: it should begin with %04d", base, i+1)
		}
		if !strings.Contains(list, "("+base+")") {
			t.Errorf("docs/decisions/README.md does not list %s", base)
		}
		text := read(t, "docs/decisions/"+base)
		for _, heading := range []string{"## What was decided", "## Why", "## What it costs"} {
			if !strings.Contains(text, heading) {
				t.Errorf("%s has no part %q", base, heading)
			}
		}
	}
}
