package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// JUnit reads a report in JUnit's XML form, as jest, pytest, Maven's surefire and many others write it
// (https://github.com/testmoapp/junitxml). Without a tree no place is known. When the XML breaks off or is wrong, the findings up to there come together with the error.
func JUnit(r io.Reader, tree Tree, limits Limits) (Findings, error) {
	c := newCollector(tree, limits)
	text, err := c.read(r)
	if err != nil {
		return Findings{}, err
	}
	text = withoutIllegal(text)
	if err := bounded(text); err != nil {
		return Findings{}, err
	}
	j := junit{collector: c, decoder: xml.NewDecoder(strings.NewReader(text))}
	j.decoder.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // read has made it UTF-8
	if err := j.document(); err != nil && !c.found.Truncated {
		return c.found, err
	}
	return c.found, nil
}

// junit is the reading of one report.
type junit struct {
	*collector
	decoder *xml.Decoder
	suites  []string // the files of the open suites, "" where one names none
}

// testcase is one test as the report tells of it.
type testcase struct {
	name, class, file, line, time string
	failures                      []failure
	skipped                       bool
}

type failure struct{ file, line, kind, message, text string }

const (
	maxElements = 64 // inside one another
	maxFailures = 50 // of one test
)

func (j *junit) document() error {
	open := 0
	for {
		t, err := j.decoder.Token()
		if errors.Is(err, io.EOF) && open == 0 {
			return nil
		}
		if err != nil {
			return wrong(err)
		}
		switch t := t.(type) {
		case xml.Directive:
			return errors.New("report: read a JUnit report: it declares a document type; test reports need none")
		case xml.StartElement:
			if open == 0 && t.Name.Local != "testsuites" && t.Name.Local != "testsuite" && t.Name.Local != "testcase" {
				return fmt.Errorf("report: read a JUnit report: it begins with <%s>, not with <testsuites> or <testsuite>", oneLine(t.Name.Local, 40))
			}
			if open++; open > maxElements {
				return fmt.Errorf("report: read a JUnit report: more than %d elements are inside one another", maxElements)
			}
			switch t.Name.Local {
			case "testcase":
				open--
				if err := j.testcase(t); err != nil {
					return wrong(err)
				}
			default:
				j.suites = append(j.suites, attribute(t, "file"))
			}
		case xml.EndElement:
			open--
			j.suites = j.suites[:len(j.suites)-1]
		}
	}
}

func wrong(err error) error {
	return fmt.Errorf("report: read a JUnit report: %s", oneLine(strings.TrimPrefix(err.Error(), "XML syntax error "), 200))
}

// testcase reads one test up to its end. What was read before an error counts.
func (j *junit) testcase(start xml.StartElement) error {
	t := testcase{name: attribute(start, "name"), class: attribute(start, "classname"), file: attribute(start, "file"), line: attribute(start, "line"), time: attribute(start, "time")}
	for i := len(j.suites) - 1; t.file == "" && i >= 0; i-- {
		t.file = j.suites[i]
	}
	err := j.children(&t)
	j.test(t.title(), seconds(t.time), len(t.failures) > 0, t.skipped)
	for _, f := range t.failures {
		at, line := j.failurePlace(t, f)
		j.failure(at, line, t.title(), f.said())
	}
	return err
}

func (j *junit) children(t *testcase) error {
	depth := 0
	var text *strings.Builder // of the failure that is open
	var f failure
	for {
		token, err := j.decoder.Token()
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.Directive:
			return errors.New("a document type inside the report")
		case xml.StartElement:
			if depth++; depth > maxElements {
				return fmt.Errorf("more than %d elements are inside one another", maxElements)
			}
			switch {
			case depth > 1:
			case token.Name.Local == "failure" || token.Name.Local == "error":
				text = &strings.Builder{}
				f = failure{file: attribute(token, "file"), line: attribute(token, "line"), kind: attribute(token, "type"), message: attribute(token, "message")}
			case token.Name.Local == "skipped":
				t.skipped = true
			}
		case xml.CharData:
			if text != nil && text.Len() < 16*j.limits.Message {
				text.WriteString(cut(string(token), 16*j.limits.Message))
			}
		case xml.EndElement:
			if depth == 0 {
				return nil
			}
			if depth--; depth == 0 && text != nil {
				f.text = text.String()
				if len(t.failures) < maxFailures {
					t.failures = append(t.failures, f)
				}
				text = nil
			}
		}
	}
}

// title is the class and the name, unless the one holds the other.
func (t testcase) title() string {
	switch {
	case t.class == "" || strings.Contains(t.name, t.class):
		return t.name
	case strings.Contains(t.class, t.name):
		return t.class
	}
	return t.class + " › " + t.name
}

// said is the message and the text, unless the text begins with the message.
func (f failure) said() string {
	text, message := strings.Trim(f.text, "\n"), strings.TrimSpace(f.message)
	switch {
	case text == "" && message == "":
		return f.kind
	case text == "" || strings.Contains(message, strings.TrimSpace(text)):
		return message
	case message == "" || strings.Contains(text, message):
		return text
	}
	return message + "\n" + text
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
