package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

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

var variable = regexp.MustCompile(`CONVEYOR_[A-Z][A-Z0-9_]*[A-Z]`)

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
