package webhook

import (
	"encoding/binary"
	"math/bits"
)

// maxDepth is how deep a payload may be nested. GitHub's are nested less than ten deep; a reader of deeper ones could be
// made to exhaust its stack.
const maxDepth = 64

// wellFormed reports whether b is one JSON object (RFC 8259). It exists because json.Valid costs several times as much
// as everything else that happens to a delivery before its answer; a fuzz test holds the two to the same verdict.
func wellFormed(b []byte) bool {
	i := space(b, 0)
	if i == len(b) || b[i] != '{' {
		return false
	}
	i = container(b, i)
	return i >= 0 && space(b, i) == len(b)
}

// bad is what the readers below return instead of the next index.
const bad = -1

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// container reads an object or array that begins at i, and everything in it. One bit for each level says which it is.
func container(b []byte, i int) int {
	var objects uint64
	depth := 0
	for {
		if i >= len(b) {
			return bad
		}
		// A value begins at i.
		switch c := b[i]; c {
		case '{', '[':
			if depth == maxDepth {
				return bad
			}
			depth++
			objects = objects<<1 | uint64(c>>5&1) // '{' is 0x7b, '[' is 0x5b
			i = space(b, i+1)
			if i < len(b) && b[i] == c+2 { // '}' or ']': it is empty
				i = closed(&objects, &depth, i)
				break
			}
			if c == '{' {
				i = name(b, i)
			}
			if i < 0 {
				return bad
			}
			continue
		case '"':
			i = quoted(b, i+1)
		case 't':
			i = word(b, i, "true")
		case 'f':
			i = word(b, i, "false")
		case 'n':
			i = word(b, i, "null")
		default:
			i = number(b, i)
		}
		// A value has ended before i.
		for {
			if i < 0 {
				return bad
			}
			if depth == 0 {
				return i
			}
			if i = space(b, i); i >= len(b) {
				return bad
			}
			object := objects&1 == 1
			switch {
			case b[i] == ',' && object:
				i = name(b, space(b, i+1))
			case b[i] == ',':
				i = space(b, i+1)
			case b[i] == '}' && object, b[i] == ']' && !object:
				i = closed(&objects, &depth, i)
				continue
			default:
				return bad
			}
			break
		}
		if i < 0 {
			return bad
		}
	}
}

func closed(objects *uint64, depth *int, i int) int {
	*objects >>= 1
	*depth--
	return i + 1
}

// name reads a member's name and its colon, up to where its value begins.
func name(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return bad
	}
	if i = quoted(b, i+1); i < 0 {
		return bad
	}
	if i = space(b, i); i >= len(b) || b[i] != ':' {
		return bad
	}
	return space(b, i+1)
}

// Eight bytes with one value in each.
const (
	ones   = 0x0101010101010101
	highs  = 0x8080808080808080
	quotes = '"' * ones
	slants = '\\' * ones
	spaces = ' ' * ones
)

// quoted reads a string from behind its quote, eight bytes at a time where nothing in them needs a look.
func quoted(b []byte, i int) int {
	for {
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			q, s := w^quotes, w^slants
			// The lowest bit that is set stands for the first quote, backslash or control character. Bits above it may be
			// wrong, because subtracting borrows.
			if look := ((q-ones)&^q | (s-ones)&^s | (w-spaces)&^w) & highs; look != 0 {
				i += bits.TrailingZeros64(look) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			return bad
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return bad
		case c != '\\':
			i++
		default:
			if i = escape(b, i+1); i < 0 {
				return bad
			}
		}
	}
}

func escape(b []byte, i int) int {
	if i >= len(b) {
		return bad
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if i+5 > len(b) {
			return bad
		}
		for _, c := range b[i+1 : i+5] {
			if digit(c|0x20) > 15 { // |0x20 makes capitals small, and digits stay what they are
				return bad
			}
		}
		return i + 5
	}
	return bad
}

func word(b []byte, i int, want string) int {
	if i+len(want) > len(b) || string(b[i:i+len(want)]) != want {
		return bad
	}
	return i + len(want)
}

func number(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	default:
		if i = digits(b, i); i < 0 {
			return bad
		}
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i < 0 {
			return bad
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digits(b, i)
	}
	return i
}

// digits reads at least one.
func digits(b []byte, i int) int {
	from := i
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i == from {
		return bad
	}
	return i
}
