package logs

import (
	"bytes"
	"io"
	"regexp"
)

// escapes are what programs say to the terminal, as ECMA-48 has it: controls, strings such as links and titles, and the rest.
var escapes = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|[ -/]*[0-~])`)

// Plain is text without what it says to a terminal: no colours, links or movements. What remains is not changed.
func Plain(text []byte) []byte {
	if bytes.IndexByte(text, 0x1b) < 0 {
		return text
	}
	return escapes.ReplaceAll(text, nil)
}

// PlainReader is Plain for a log of any size. Escapes that reach over more than a block are left as they are.
func PlainReader(r io.Reader) io.Reader { return &plainReader{in: r} }

type plainReader struct {
	in  io.Reader
	buf []byte // read and not looked at: an escape that may have begun
	out []byte // ready
	err error
}

func (p *plainReader) Read(to []byte) (int, error) {
	for len(p.out) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		block := make([]byte, 64<<10)
		var n int
		n, p.err = p.in.Read(block)
		p.buf = append(p.buf, block[:n]...)
		sure := len(p.buf)
		// No escape holds a line break, so that whole lines can be looked at; a very long line is looked at in parts.
		if p.err == nil && len(p.buf) < BlockSize {
			sure = bytes.LastIndexByte(p.buf, '\n') + 1
		}
		p.out = Plain(p.buf[:sure])
		p.buf = bytes.Clone(p.buf[sure:])
	}
	n := copy(to, p.out)
	p.out = p.out[n:]
	return n, nil
}
