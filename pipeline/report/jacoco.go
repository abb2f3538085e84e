package report

import (
	"encoding/xml"
	"io"
	"path"
)

// JaCoCo reads coverage in JaCoCo's XML form, as Maven and Gradle write it (https://www.jacoco.org/jacoco/trunk/coverage/report.dtd).
// It names sources by their package; where they stand in the tree is found by the end of their paths. A line is covered
// when one of its instructions was run.
func JaCoCo(r io.Reader, tree Tree) (Findings, error) {
	c := newCoverage(tree)
	folder := ""
	err := newXMLStream("JaCoCo", r).each("report", func(e xml.StartElement) error {
		switch e.Name.Local {
		case "package":
			folder = harmless(attribute(e, "name"))
		case "sourcefile":
			c.source(folder, harmless(attribute(e, "name")))
		case "line":
			c.line(attribute(e, "nr"), some(attribute(e, "ci")))
		}
		return nil
	}, func(name string) {
		switch name {
		case "package":
			folder = ""
		case "sourcefile":
			c.at = ""
		}
	})
	return c.found, err
}

// source opens a file of a package, first where Maven and Gradle keep sources.
func (c *coverage) source(folder, name string) {
	var paths []string
	for _, root := range []string{"src/main/java", "src/main/kotlin", "src/main/groovy", "src/main/scala", "src", ""} {
		paths = append(paths, path.Join(root, folder, name))
	}
	c.at = ""
	if at, ok := c.placeAlike(paths...); ok && name != "" {
		c.at = at
	} else {
		c.found.Coverage.Outside++
	}
}
