package planfile

import "github.com/conveyor-ci/conveyor/pipeline"

// Front is what a pipeline file says of itself, as far as it can be read. It may have mistakes all the same.
type Front struct {
	Name         string           // as it calls itself; empty when it does not, or not by a good name
	NameAt       pipeline.Problem // where it does, to be filled in
	Part         bool             // it is no pipeline: it only holds stages, for others to use
	Environments bool             // it declares some
	PlacesAt     pipeline.Problem // where, to be filled in
}

// Peek reads what the repository's pipelines must agree about, whatever else a file holds.
func Peek(file string, data []byte) (f Front) {
	f.NameAt, f.PlacesAt = pipeline.Problem{Line: 1, Column: 1}, pipeline.Problem{Line: 1, Column: 1}
	root := read(file, data, &mistakes{})
	if !root.is(mapping) {
		return f
	}
	f.Part = root.get("stages") != nil
	for _, field := range root.fields {
		if field.key != "stages" && field.key != "env" {
			f.Part = false
		}
	}
	if name := root.get("name"); name != nil {
		f.NameAt.Line, f.NameAt.Column = name.at.line, name.at.column
		if IsName(name.text()) {
			f.Name = name.text()
		}
	}
	if places := root.field("environments"); places != nil {
		f.Environments, f.PlacesAt.Line, f.PlacesAt.Column = true, places.at.line, places.at.column
	}
	return f
}

// IsName reports whether a word may be the name of a pipeline, as of a stage.
func IsName(word string) bool { return nameForm.MatchString(word) }
