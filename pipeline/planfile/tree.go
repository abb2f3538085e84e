package planfile

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// value turns a node of the syntax tree into a value. The depth is bounded: plain has seen to it.
func (m *mistakes) value(n ast.Node) *value {
	v := &value{at: at(n.GetToken())}
	switch n := n.(type) {
	case *ast.StringNode:
		v.kind, v.word = text, n.Value
		if tk := n.GetToken(); tk.Type == token.DoubleQuoteType || tk.Type == token.SingleQuoteType {
			v.inset = 1
		}
	case *ast.LiteralNode:
		v.kind, v.word = text, n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		v.kind, v.word = number, n.GetToken().Value
	case *ast.BoolNode:
		v.kind, v.word = flag, n.GetToken().Value
	case *ast.NullNode:
		v.kind = nothing
	case *ast.SequenceNode:
		v.kind = list
		for _, item := range n.Values {
			v.items = append(v.items, m.value(item))
		}
	case *ast.MappingNode:
		v.kind = mapping
		m.fields(v, n.Values)
	case *ast.MappingValueNode:
		v.kind = mapping
		m.fields(v, []*ast.MappingValueNode{n})
	default:
		m.add(v.at, "write plain text, a list or a mapping", "this part of YAML is not supported")
	}
	return v
}

func (m *mistakes) fields(v *value, nodes []*ast.MappingValueNode) {
	seen := map[string]place{}
	for i, n := range nodes {
		f := &field{at: at(n.Key.GetToken())}
		switch key := n.Key.(type) {
		case *ast.StringNode:
			f.key = key.Value
		default:
			f.key = key.GetToken().Value
		}
		if i == 0 && v.at.line >= f.at.line && v.at.column >= f.at.column {
			v.at = f.at // a block mapping begins at its first key; the parser names its colon
		}
		if first, twice := seen[f.key]; twice {
			m.add(f.at, fmt.Sprintf("line %d has it already; keep one", first.line), "the key %s stands here twice", quote(f.key))
			continue
		}
		seen[f.key] = f.at
		f.value = m.value(n.Value)
		if f.value.kind == nothing {
			f.value.at = f.at
		}
		v.fields = append(v.fields, f)
	}
}

func at(tk *token.Token) place {
	if tk == nil || tk.Position == nil {
		return place{line: 1, column: 1}
	}
	return place{line: tk.Position.Line, column: tk.Position.Column}
}
