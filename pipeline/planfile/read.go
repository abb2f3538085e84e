package planfile

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// read turns the file into values, or returns nil when it cannot be read as one YAML document.
func read(name string, data []byte, m *mistakes) *value {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !measure(name, data, m) {
		return nil
	}
	tokens, err := tokenize(data)
	if err != nil {
		m.syntax(err, data)
		return nil
	}
	if before := len(m.found); !plain(tokens, m) || len(m.found) > before {
		return nil
	}
	body, err := build(tokens)
	if err != nil {
		m.syntax(err, data)
		return nil
	}
	if body == nil {
		m.add(place{line: 1, column: 1}, "start it with version: 1", "%s is empty", name)
		return nil
	}
	return m.value(body)
}

// tokenize calls the lexer, whose panics on odd input become errors.
func tokenize(data []byte) (tokens token.Tokens, err error) {
	defer mend(&err)
	tokens = rejoin(lexer.Tokenize(string(data)))
	if tk := tokens.InvalidToken(); tk != nil {
		return nil, &yaml.SyntaxError{Message: tk.Error, Token: tk}
	}
	return tokens, nil
}

// build calls the parser, whose panics on odd input become errors. The body is nil when the document is empty.
func build(tokens token.Tokens) (body ast.Node, err error) {
	defer mend(&err)
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, err
	}
	for _, doc := range file.Docs {
		if doc.Body != nil {
			return doc.Body, nil
		}
	}
	return nil, nil
}

func mend(err *error) {
	if p := recover(); p != nil {
		*err = errors.New("this cannot be read as YAML")
	}
}

// syntax adds what the YAML parser found. It stops at its first mistake.
func (m *mistakes) syntax(err error, data []byte) {
	message, where := err.Error(), place{line: 1, column: 1}
	if e, ok := errors.AsType[yaml.Error](err); ok {
		message = e.GetMessage()
		if tk := e.GetToken(); tk != nil && tk.Position != nil {
			where = at(tk)
		}
	}
	where = within(where, data)
	hint := ""
	switch line := lineOf(data, where.line); {
	case strings.Contains(message, "character '\t'"):
		message, hint = "there is a tab in the indentation", "indent with spaces"
	case strings.Contains(message, "mapping value is not allowed"):
		hint = "put text that holds a colon and a space in quotes"
	case strings.Contains(line, "{{"):
		hint = `text with {{ }} needs quotes here: "http://pr-{{ pr }}.example.com"`
	case strings.HasPrefix(strings.TrimLeft(line, " "), "\t"):
		hint = "indent with spaces, not with tabs"
	}
	m.add(where, hint, "YAML: %s", shorten(message, 200))
}

// within moves a place that the parser has put outside the file to its nearest line and column.
func within(p place, data []byte) place {
	p.line = min(max(p.line, 1), bytes.Count(data, []byte("\n"))+1)
	p.column = min(max(p.column, 1), utf8.RuneCountInString(lineOf(data, p.line))+1)
	return p
}

// lineOf is one line without its end.
func lineOf(data []byte, line int) string {
	for range line - 1 {
		_, after, ok := bytes.Cut(data, []byte("\n"))
		if !ok {
			return ""
		}
		data = after
	}
	here, _, _ := bytes.Cut(data, []byte("\n"))
	return strings.TrimSuffix(string(here), "\r")
}
