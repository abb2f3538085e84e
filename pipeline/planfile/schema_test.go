package planfile_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/planfile"
	"github.com/conveyor-ci/conveyor/test/golden"
)

var zero pipeline.Plan

// compiled is the schema, or a part of it, ready to validate.
func compiled(t *testing.T, part string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(planfile.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("conveyor.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("conveyor.json" + part)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestThePublishedSchemaIsTheGrammar(t *testing.T) {
	t.Parallel()
	golden.Equal(t, "schema.json", string(planfile.Schema()))
}

func TestTheSchemaAcceptsWhatTheParserAccepts(t *testing.T) {
	t.Parallel()
	s := compiled(t, "")
	golden.Each(t, "testdata/valid/*.yml", func(t *testing.T, path string, data []byte) {
		if err := s.Validate(planfile.Tree(data)); err != nil {
			t.Error(err)
		}
	})
}

func TestTheSchemaRefusesWhatHasTheWrongForm(t *testing.T) {
	t.Parallel()
	s := compiled(t, "")
	golden.Each(t, "testdata/invalid/form-*.yml", func(t *testing.T, path string, data []byte) {
		if err := s.Validate(planfile.Tree(data)); err == nil {
			t.Error("the schema accepts it")
		}
	})
}

func TestTheSchemaLeavesToTheParserWhatOnlyTheParserKnows(t *testing.T) {
	t.Parallel()
	s := compiled(t, "")
	golden.Each(t, "testdata/invalid/sense-*.yml", func(t *testing.T, path string, data []byte) {
		if err := s.Validate(planfile.Tree(data)); err != nil {
			t.Errorf("this belongs to form-*.yml: %v", err)
		}
	})
}

func TestEveryKeyHasADescriptionAndAGoodExample(t *testing.T) {
	t.Parallel()
	var top any
	if err := json.Unmarshal(planfile.Schema(), &top); err != nil {
		t.Fatal(err)
	}
	keys := 0
	var walk func(node any, pointer string)
	described := func(node any, pointer string) {
		keys++
		key := node.(map[string]any)
		if about, _ := key["description"].(string); len(about) < 10 {
			t.Errorf("%s has no description", pointer)
		}
		examples, _ := key["examples"].([]any)
		if len(examples) == 0 {
			t.Errorf("%s has no example", pointer)
		}
		raw, _ := json.Marshal(examples)
		list, _ := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		for _, example := range list.([]any) {
			if err := compiled(t, pointer).Validate(example); err != nil {
				t.Errorf("%s: its own example is not allowed: %v", pointer, err)
			}
		}
	}
	walk = func(node any, pointer string) {
		switch node := node.(type) {
		case map[string]any:
			if properties, ok := node["properties"].(map[string]any); ok {
				for name, key := range properties {
					described(key, pointer+"/properties/"+name)
				}
			}
			for name, child := range node {
				if name != "examples" {
					walk(child, pointer+"/"+name)
				}
			}
		case []any:
			for i, child := range node {
				walk(child, pointer+"/"+string(rune('0'+i)))
			}
		}
	}
	described(top, "#")
	walk(top, "#")
	if keys < 30 {
		t.Errorf("only %d keys were found in the schema", keys)
	}
}

// A key that the grammar allows and the plan does not show would be a promise that nobody keeps.
func TestEveryKeyOfTheGrammarChangesThePlan(t *testing.T) {
	t.Parallel()
	var schema any
	if err := json.Unmarshal(planfile.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	unused := map[string]bool{}
	var keys func(s any, where string)
	keys = func(s any, where string) {
		switch s := s.(type) {
		case map[string]any:
			properties, _ := s["properties"].(map[string]any)
			for name, key := range properties {
				unused[where+"."+name] = true
				keys(key, where+"."+name)
			}
			keys(s["items"], where)
			keys(s["anyOf"], where)
			if rest, ok := s["additionalProperties"].(map[string]any); ok {
				unused[where+".*"] = true
				keys(rest, where+".*")
			}
		case []any:
			for _, form := range s {
				keys(form, where)
			}
		}
	}
	keys(schema, "")
	known := maps.Clone(unused)
	// What is written in source does not go together with previews, so that it stands in a file of its own.
	for _, name := range []string{"everything.yml", "source.yml"} {
		removeEach(t, filepath.Join("testdata", "valid", name), known, unused)
	}
	for key := range unused {
		t.Errorf("%s makes no difference, or no file uses it", strings.TrimPrefix(key, "."))
	}
}

// removeEach takes each key away in turn, and from unused those of which the plan then says something else.
func removeEach(t *testing.T, path string, known, unused map[string]bool) {
	data := read(t, path)
	plan, problems := planfile.ParseFor(path, data, planfile.Options{Read: used})
	if len(problems) > 0 {
		t.Fatal(planfile.Format(path, data, problems))
	}
	doc := planfile.Tree(data)
	var remove func(v any, where string)
	remove = func(v any, where string) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				remove(item, where)
			}
		case map[string]any:
			for name, old := range maps.Clone(v) {
				at := where + "." + name
				if !known[at] {
					at = where + ".*"
				}
				remove(old, at)
				delete(v, name)
				without, _ := json.Marshal(doc)
				if p, problems := planfile.ParseFor(path, without, planfile.Options{Read: used}); len(problems) > 0 || planfile.Hash(p) != planfile.Hash(plan) {
					delete(unused, at)
				}
				v[name] = old
			}
		}
	}
	remove(doc, "")
}
