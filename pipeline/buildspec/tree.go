package buildspec

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// The limits of a buildspec. Its text is kept with the run's plan.
const (
	MaxBytes    = 64 << 10
	maxDepth    = 20
	maxNodes    = 5_000 // with everything that aliases repeat
	maxFindings = 50
)

// reader collects what there is to say of a file while it is read to its end.
type reader struct {
	found Findings
	nodes int
}

func (r *reader) mistake(n *yaml.Node, hint, format string, args ...any) {
	r.found.Mistakes = append(r.found.Mistakes, problem(n, hint, format, args...))
}

func (r *reader) warn(n *yaml.Node, hint, format string, args ...any) {
	r.found.Warnings = append(r.found.Warnings, problem(n, hint, format, args...))
}

func problem(n *yaml.Node, hint, format string, args ...any) pipeline.Problem {
	return pipeline.Problem{Line: max(n.Line, 1), Column: max(n.Column, 1), Message: fmt.Sprintf(format, args...), Hint: hint}
}

func sorted(all []pipeline.Problem) []pipeline.Problem {
	slices.SortStableFunc(all, func(a, b pipeline.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	all = slices.Compact(all)
	return all[:min(len(all), maxFindings)]
}

// document reads the file as YAML and returns its top, or nil. CodeBuild's agent reads with the same library, so that
// what is a mistake there is one here, in the same words.
func (r *reader) document(name string, data []byte) (top *yaml.Node) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	start := &yaml.Node{Line: 1, Column: 1}
	switch {
	case len(data) > MaxBytes:
		r.mistake(start, "move long scripts into files of the repository", "%s is larger than %d KiB", name, MaxBytes>>10)
		return nil
	case !utf8.Valid(data), bytes.IndexByte(data, 0) >= 0:
		r.mistake(start, "save the file as UTF-8", "%s is not text in UTF-8", name)
		return nil
	}
	defer func() {
		if p := recover(); p != nil { // a library that panics on odd input must not end the server
			top = nil
			r.mistake(start, "", "%s cannot be read as YAML", name)
		}
	}()
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		r.mistake(start, "", "%s cannot be read as YAML", name)
		return nil
	}
	var doc yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		r.mistake(start, "begin it with version: 0.2", "%s is empty", name)
		return nil
	} else if err != nil {
		r.syntax(err, data)
		return nil
	}
	var more yaml.Node
	if err := loader.Load(&more); err == nil {
		r.warn(&more, "remove what follows the second ---", "only the first document of the file is read")
	}
	if doc.Kind == yaml.DocumentNode && len(doc.Content) > 0 {
		return r.plain(doc.Content[0], 0)
	}
	return r.plain(&doc, 0)
}

func (r *reader) syntax(err error, data []byte) {
	at, message := &yaml.Node{Line: 1, Column: 1}, err.Error()
	var e *yaml.LoadError
	if errors.As(err, &e) {
		at.Line, at.Column, message = e.Mark.Line, e.Mark.Column, e.Message
		if at.Line == 0 {
			at.Line, at.Column = e.ContextMark.Line, e.ContextMark.Column
		}
	}
	hint := ""
	line := ""
	if lines := strings.Split(string(data), "\n"); at.Line >= 1 && at.Line <= len(lines) {
		line = lines[at.Line-1]
	}
	switch {
	case strings.HasPrefix(strings.TrimLeft(line, " "), "\t"):
		hint = "indent with spaces, not with tabs"
	case strings.Contains(message, "mapping values are not allowed"):
		hint = "put text that holds a colon and a space in quotes"
	case strings.Contains(message, "cannot start any token"):
		hint = "put text that begins with a sign such as ` @ or % in quotes"
	case strings.Contains(message, "did not find expected"):
		hint = "look at the quotes, brackets and indentation of this line and the one before it"
	}
	r.mistake(at, hint, "YAML: %s", strings.Trim(quote(message), `"`))
}

// plain resolves aliases and merge keys, so that everything after it sees a tree. Where an alias stands is where its
// content is said to stand. A file that grows without bound this way is refused.
func (r *reader) plain(n *yaml.Node, depth int) *yaml.Node {
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		if r.nodes <= maxNodes || r.nodes == maxNodes+1 {
			r.mistake(n, "make it smaller", "the file holds more than %d values, or is more than %d levels deep", maxNodes, maxDepth)
		}
		r.nodes = max(r.nodes, maxNodes+1)
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line, Column: n.Column}
	}
	if n.Kind == yaml.AliasNode {
		if n.Alias == nil {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line, Column: n.Column}
		}
		return r.plain(n.Alias, depth+1)
	}
	flat := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: n.Style, Anchor: n.Anchor, Line: n.Line, Column: n.Column}
	if n.Kind != yaml.MappingNode {
		for _, c := range n.Content {
			flat.Content = append(flat.Content, r.plain(c, depth+1))
		}
		return flat
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := r.plain(n.Content[i], depth+1), r.plain(n.Content[i+1], depth+1)
		switch {
		case key.Value == "<<" && value.Kind == yaml.MappingNode:
			merged = append(merged, value.Content...)
		case key.Value == "<<" && value.Kind == yaml.SequenceNode:
			for _, v := range value.Content {
				merged = append(merged, v.Content...)
			}
		case r.nodes > maxNodes:
			return flat // it is refused as a whole
		case find(flat, key.Value) != nil:
			r.mistake(key, "keep one", "the key %s stands here twice", quote(key.Value))
		default:
			flat.Content = append(flat.Content, key, value)
		}
	}
	for i := 0; i+1 < len(merged); i += 2 { // what stands in the mapping itself goes before what is merged into it
		if find(flat, merged[i].Value) == nil {
			flat.Content = append(flat.Content, merged[i], merged[i+1])
		}
	}
	return flat
}

// find is the value of a key, nil when there is none. It accepts nil and what is no mapping.
func find(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// absent reports whether there is no value, or one that is empty: "finally:" alone says nothing.
func absent(n *yaml.Node) bool { return n == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	return "text"
}
