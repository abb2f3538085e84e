package report

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxStream is how many bytes of a coverage report are read at most. It is read as it comes, and never held whole.
const MaxStream = 256 << 20

// xmlStream reads XML as it comes. No markup, and no text between, may be longer than maxTag: the parser keeps one of them
// in memory. A document type is passed over when it only names one, as JaCoCo's does; nothing is ever loaded, and there
// are no entities but XML's own five.
type xmlStream struct {
	what    string
	decoder *xml.Decoder
	in      *measured
}

func newXMLStream(what string, r io.Reader) *xmlStream {
	in := &measured{in: bufio.NewReader(&bounds{in: r, left: MaxStream})}
	d := xml.NewDecoder(in)
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // what is not UTF-8 is refused
	return &xmlStream{what: what, decoder: d, in: in}
}

// errTaken says that begin has read the element to its end.
var errTaken = errors.New("report: the element is read")

// each calls begin and end for the elements of the document, whose first one must have this name.
func (x *xmlStream) each(root string, begin func(xml.StartElement) error, end func(name string)) error {
	open := 0
	for {
		t, err := x.decoder.Token()
		if errors.Is(err, io.EOF) && open == 0 {
			return nil
		}
		if err == nil {
			switch t := t.(type) {
			case xml.Directive:
				if strings.ContainsAny(string(t), "[") {
					err = errors.New("it declares a document type of its own; reports need none")
				}
			case xml.StartElement:
				switch open++; {
				case open == 1 && t.Name.Local != root:
					err = fmt.Errorf("it begins with <%s>, not with <%s>", oneLine(t.Name.Local, 40), root)
				case open > maxElements:
					err = fmt.Errorf("more than %d elements are inside one another", maxElements)
				default:
					if err = begin(t); errors.Is(err, errTaken) {
						open, err = open-1, nil
					}
				}
			case xml.EndElement:
				open--
				end(t.Name.Local)
			}
		}
		if err != nil {
			return fmt.Errorf("report: read a %s report: %s", x.what, oneLine(strings.TrimPrefix(err.Error(), "XML syntax error "), 200))
		}
	}
}

// bounds ends a report that is too long with an error that says so.
type bounds struct {
	in   io.Reader
	left int64
}

func (b *bounds) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("it has more than %d MiB", MaxStream>>20)
	}
	n, err := b.in.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// measured counts how long the markup or the text is that is being read. It gives one byte at a time, as the XML parser
// asks for them.
type measured struct {
	in    *bufio.Reader
	long  int
	close string // what ends a comment, a CDATA section or an instruction; empty outside of them
	last  [9]byte
}

func (m *measured) ReadByte() (byte, error) {
	c, err := m.in.ReadByte()
	if err != nil {
		return c, err
	}
	copy(m.last[:], m.last[1:])
	m.last[len(m.last)-1] = c
	if m.long++; m.long > maxTag {
		return 0, fmt.Errorf("it has a tag or a text of more than %d KiB", maxTag>>10)
	}
	seen := string(m.last[:])
	switch {
	case m.close != "":
		if strings.HasSuffix(seen, m.close) {
			m.close, m.long = "", 0
		}
	case strings.HasSuffix(seen, "<!--"):
		m.close = "-->"
	case strings.HasSuffix(seen, "<![CDATA["):
		m.close = "]]>"
	case strings.HasSuffix(seen, "<?"):
		m.close = "?>"
	case c == '<':
		m.long = 0 // inside of quotes it is a mistake, so that it always begins something
	}
	return c, nil
}

// Read is not used by a parser that can have bytes.
func (m *measured) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c, err := m.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = c
	return 1, nil
}
