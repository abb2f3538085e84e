package planfile

import (
	"slices"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

// rejoin puts plain text such as team:release together again. Within braces the lexer takes every colon for the end of
// a key; by the rules of YAML only a colon before a space or a bracket is one
// (https://yaml.org/spec/1.2.2/#733-plain-style).
func rejoin(tokens token.Tokens) token.Tokens {
	var out token.Tokens
	brackets := 0
	for i := 0; i < len(tokens); i++ {
		tk := tokens[i]
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			brackets++
		case token.MappingEndType, token.SequenceEndType:
			brackets--
		case token.MappingValueType:
			if brackets > 0 && len(out) > 0 && i+1 < len(tokens) && glued(out[len(out)-1], tk, tokens[i+1]) {
				before, after := out[len(out)-1], tokens[i+1]
				joined := token.String(before.Value+":"+after.Value, before.Origin+tk.Origin+after.Origin, before.Position)
				joined.Prev, joined.Next = before.Prev, after.Next
				if joined.Prev != nil {
					joined.Prev.Next = joined
				}
				if joined.Next != nil {
					joined.Next.Prev = joined
				}
				out[len(out)-1] = joined
				i++
				continue
			}
		}
		out = append(out, tk)
	}
	return out
}

// glued tells whether a colon stands within a plain text, without any space around it.
func glued(before, colon, after *token.Token) bool {
	if !plainText(before) || !plainText(after) || before.Position.Line != colon.Position.Line || after.Position.Line != colon.Position.Line {
		return false
	}
	return before.Position.Column+utf8.RuneCountInString(before.Value) == colon.Position.Column &&
		colon.Position.Column+1 == after.Position.Column
}

func plainText(tk *token.Token) bool {
	return tk.Position != nil && slices.Contains([]token.Type{
		token.StringType, token.IntegerType, token.BinaryIntegerType, token.OctetIntegerType, token.HexIntegerType,
		token.FloatType, token.BoolType, token.NullType, token.InfinityType, token.NanType,
	}, tk.Type)
}
