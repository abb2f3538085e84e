package report

import (
	"encoding/xml"
	"io"
	"strings"
)

// Cobertura reads coverage in Cobertura's XML form, as coverage.py, coverlet and gcovr write it
// (https://github.com/cobertura/cobertura/blob/master/cobertura/src/site/htdocs/xml/coverage-04.dtd). When it breaks off or
// is wrong, what was read up to there comes together with the error.
func Cobertura(r io.Reader, tree Tree) (Findings, error) {
	c := newCoverage(tree)
	x := newXMLStream("Cobertura", r)
	inMethod := 0 // a method's lines are named again in its class
	err := x.each("coverage", func(e xml.StartElement) error {
		switch e.Name.Local {
		case "source":
			var root string
			if err := x.decoder.DecodeElement(&root, &e); err != nil {
				return err
			}
			if root = strings.TrimSpace(harmless(root)); root != "" && len(root) < maxPath && len(c.roots) < 20 {
				c.roots = append(c.roots, root)
			}
			return errTaken
		case "method":
			inMethod++
		case "class":
			c.open(harmless(attribute(e, "filename")))
		case "line":
			if inMethod == 0 {
				c.line(attribute(e, "number"), some(attribute(e, "hits")))
			}
		}
		return nil
	}, func(name string) {
		switch name {
		case "method":
			inMethod--
		case "class":
			c.at = ""
		}
	})
	return c.found, err
}
