package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// LCOV reads coverage as a tracefile, as jest, istanbul, lcov and llvm-cov write it
// (https://github.com/linux-test-project/lcov/blob/master/man/geninfo.1).
func LCOV(r io.Reader, tree Tree) (Findings, error) {
	c := newCoverage(tree)
	in := bufio.NewReaderSize(&bounds{in: r, left: MaxStream}, 64<<10)
	for {
		line, err := in.ReadSlice('\n')
		text := strings.TrimRight(string(line), "\r\n")
		switch {
		case strings.HasPrefix(text, "SF:"):
			c.open(harmless(text[len("SF:"):]))
		case strings.HasPrefix(text, "DA:"):
			number, rest, _ := strings.Cut(text[len("DA:"):], ",")
			hits, _, _ := strings.Cut(rest, ",")
			c.line(number, some(hits))
		case text == "end_of_record":
			c.at = ""
		}
		for errors.Is(err, bufio.ErrBufferFull) { // no line of a tracefile is that long; the rest of it is passed over
			_, err = in.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			return c.found, nil
		}
		if err != nil {
			return c.found, fmt.Errorf("report: read an LCOV report: %s", oneLine(err.Error(), 200))
		}
	}
}
