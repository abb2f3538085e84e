package planfile

import (
	"bytes"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

// The limits of a pipeline file. They keep one file's cost, and the size of the event that stores its plan, in bounds.
const (
	MaxBytes        = 256 << 10
	maxLines        = 10_000
	maxLineBytes    = 4_000 // the lexer's time grows with the square of a line's length
	maxTokens       = 20_000
	maxKeyBytes     = 128
	maxDepth        = 32
	maxStages       = 100
	maxSteps        = 200 // of all stages together
	maxEnvironments = 50
	maxProblems     = 50 // GitHub takes as many annotations at once
)

// measure refuses what would cost the lexer too much.
func measure(name string, data []byte, m *mistakes) bool {
	if len(data) > MaxBytes {
		m.add(place{line: 1, column: 1}, "move long scripts into files of the repository and call them from run",
			"%s is larger than %d KiB", name, MaxBytes>>10)
		return false
	}
	line := 0
	for rest := data; len(rest) > 0; {
		line++
		end := bytes.IndexAny(rest, "\r\n")
		if end < 0 {
			end = len(rest)
		}
		switch here := rest[:end]; {
		case line > maxLines:
			m.add(place{line: line, column: 1}, "move long scripts into files of the repository", "%s has more than %d lines", name, maxLines)
			return false
		case len(here) > maxLineBytes:
			m.add(place{line: line, column: 1}, "break it up", "this line is longer than %d bytes", maxLineBytes)
			return false
		case !utf8.Valid(here):
			m.add(place{line: line, column: invalidAt(here)}, "save the file as UTF-8", "this is not UTF-8 text")
			return false
		case bytes.IndexByte(here, 0) >= 0:
			m.add(place{line: line, column: utf8.RuneCount(here[:bytes.IndexByte(here, 0)]) + 1}, "remove it", "there is a NUL character here")
			return false
		}
		skip := min(end+1, len(rest))
		if end+1 < len(rest) && rest[end] == '\r' && rest[end+1] == '\n' {
			skip++
		}
		rest = rest[skip:]
	}
	return true
}

func invalidAt(line []byte) (column int) {
	for column = 1; ; column++ {
		r, size := utf8.DecodeRune(line)
		if r == utf8.RuneError && size <= 1 {
			return column
		}
		line = line[size:]
	}
}

// plain refuses the parts of YAML that are not needed here and let a small file grow large or mean several things. It
// tells whether the tokens may go on to the parser.
func plain(tokens token.Tokens, m *mistakes) bool {
	if len(tokens) > maxTokens {
		m.add(at(tokens[maxTokens]), "make it shorter", "the file has more than %d words and signs", maxTokens)
		return false
	}
	var columns []int // of the block collections that are open
	brackets, content := 0, 0
	for i, tk := range tokens {
		switch tk.Type {
		case token.CommentType:
			continue
		case token.AnchorType, token.AliasType:
			m.add(at(tk), "write the value out where it is needed", "anchors and aliases are not supported")
		case token.MergeKeyType:
			m.add(at(tk), "write the keys out where they are needed", "merge keys are not supported")
		case token.TagType:
			m.add(at(tk), "put text in quotes instead", "tags are not supported")
		case token.DirectiveType:
			m.add(at(tk), "remove this line", "YAML directives are not supported")
			return false
		case token.MappingKeyType:
			m.add(at(tk), "write key: value", "keys that start with ? are not supported")
		case token.DocumentHeaderType, token.DocumentEndType:
			if content > 0 && !last(tokens[i:]) {
				m.add(at(tk), "keep one and remove the others", "there must be only one document in the file")
				return false
			}
			continue
		case token.MappingStartType, token.SequenceStartType:
			brackets++
		case token.MappingEndType, token.SequenceEndType:
			brackets--
		case token.SequenceEntryType:
			columns = open(columns, tk, brackets)
		case token.MappingValueType:
			if i > 0 {
				columns = open(columns, tokens[i-1], brackets)
				if key := tokens[i-1]; len(key.Value) > maxKeyBytes {
					m.add(at(key), "make it shorter", "this key is longer than %d bytes", maxKeyBytes)
					return false
				}
			}
		}
		content++
		if len(columns)+brackets > maxDepth {
			m.add(at(tk), "make it flatter", "this is nested more than %d levels deep", maxDepth)
			return false
		}
	}
	return true
}

// last tells whether only ends of the document and comments are left.
func last(tokens token.Tokens) bool {
	for _, tk := range tokens {
		if tk.Type != token.DocumentEndType && tk.Type != token.CommentType {
			return false
		}
	}
	return true
}

func open(columns []int, tk *token.Token, brackets int) []int {
	if brackets > 0 {
		return columns
	}
	column := tk.Position.Column
	for len(columns) > 0 && columns[len(columns)-1] > column {
		columns = columns[:len(columns)-1]
	}
	if len(columns) == 0 || columns[len(columns)-1] < column {
		columns = append(columns, column)
	}
	return columns
}
