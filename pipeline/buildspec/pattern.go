package buildspec

import (
	"fmt"
	"regexp/syntax"
	"strings"
	"unicode"
)

// posix turns a regular expression, as Go and AWS write it, into an extended one of POSIX: the sandbox has grep -E and no
// other engine for certain. It is taken apart and put together again, so that nothing of it can mean something else there.
func posix(pattern string) (string, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", fmt.Errorf("%s", err.Error())
	}
	var b strings.Builder
	if err := extended(&b, parsed.Simplify()); err != nil {
		return "", err
	}
	if b.Len() > maxPattern {
		return "", fmt.Errorf("it is too large")
	}
	return b.String(), nil
}

const maxPattern = 4 << 10

func extended(b *strings.Builder, r *syntax.Regexp) error {
	if b.Len() > maxPattern {
		return nil // it is refused as a whole
	}
	switch r.Op {
	case syntax.OpEmptyMatch:
		b.WriteString("()")
	case syntax.OpLiteral:
		for _, c := range r.Rune {
			switch {
			case r.Flags&syntax.FoldCase != 0 && unicode.IsLetter(c):
				fmt.Fprintf(b, "[%c%c]", unicode.ToLower(c), unicode.ToUpper(c))
			case c < ' ':
				return fmt.Errorf("a control character is no part of a line")
			case strings.ContainsRune(`\.+*?()|[]{}^$`, c):
				b.WriteString(`\` + string(c))
			default:
				b.WriteRune(c)
			}
		}
	case syntax.OpAnyCharNotNL, syntax.OpAnyChar:
		b.WriteString(".")
	case syntax.OpCharClass:
		return class(b, r.Rune)
	case syntax.OpBeginLine, syntax.OpBeginText:
		b.WriteString("^")
	case syntax.OpEndLine, syntax.OpEndText:
		b.WriteString("$")
	case syntax.OpCapture:
		return group(b, r.Sub[0], "")
	case syntax.OpStar:
		return group(b, r.Sub[0], "*")
	case syntax.OpPlus:
		return group(b, r.Sub[0], "+")
	case syntax.OpQuest:
		return group(b, r.Sub[0], "?")
	case syntax.OpConcat:
		for _, sub := range r.Sub {
			if err := group(b, sub, ""); err != nil {
				return err
			}
		}
	case syntax.OpAlternate:
		for i, sub := range r.Sub {
			if i > 0 {
				b.WriteString("|")
			}
			if err := group(b, sub, ""); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("%s is not supported", quote(r.String()))
	}
	return nil
}

// group writes a part that binds as one, and how often it may stand.
func group(b *strings.Builder, r *syntax.Regexp, often string) error {
	single := r.Op == syntax.OpAnyCharNotNL || r.Op == syntax.OpAnyChar || r.Op == syntax.OpCharClass || r.Op == syntax.OpCapture
	bare := single || often == "" && r.Op != syntax.OpAlternate
	if !bare {
		b.WriteString("(")
	}
	if r.Op == syntax.OpCapture {
		b.WriteString("(")
		r = r.Sub[0]
		defer func() { b.WriteString(")" + often) }()
		return extended(b, r)
	}
	if err := extended(b, r); err != nil {
		return err
	}
	if !bare {
		b.WriteString(")")
	}
	b.WriteString(often)
	return nil
}

// class writes a bracket expression. In one, only ] ^ - and a bracket at the front mean something, so that they are
// written where they mean themselves.
func class(b *strings.Builder, ranges []rune) error {
	if len(ranges) == 0 {
		return fmt.Errorf("an empty class matches nothing")
	}
	negated := ranges[0] == 0 && ranges[len(ranges)-1] == unicode.MaxRune
	if negated {
		var outside []rune
		for i := 1; i+1 < len(ranges); i += 2 {
			outside = append(outside, ranges[i]+1, ranges[i+1]-1)
		}
		if ranges = outside; len(ranges) == 0 {
			b.WriteString(".")
			return nil
		}
	}
	shut, hat, dash, rest := "", "", "", ""
	for i := 0; i < len(ranges); i += 2 {
		for lo, hi := ranges[i], ranges[i+1]; lo <= hi; lo++ {
			switch {
			case lo == ']':
				shut = "]"
			case lo == '^':
				hat = "^"
			case lo == '-':
				dash = "-"
			case lo == '\n' || lo == '\r': // no part of a line
			case lo == '[':
				rest = "[" + rest // before any : . = that would begin a class of POSIX
			default:
				end := lo
				for end < hi && !strings.ContainsRune("]^-[\n\r", end+1) {
					end++
				}
				if rest += string(lo); end > lo+1 {
					rest += "-" + string(end)
				} else if end > lo {
					rest += string(end)
				}
				lo = end
			}
		}
	}
	if strings.HasPrefix(rest, "[") && len(rest) > 1 && strings.ContainsAny(rest[1:2], ":.=") {
		rest = rest[1:] + "["
	}
	inside := shut + rest + hat + dash
	switch {
	case negated:
		inside = "^" + inside
	case inside == "^":
		b.WriteString(`\^`)
		return nil
	}
	b.WriteString("[" + inside + "]")
	return nil
}
