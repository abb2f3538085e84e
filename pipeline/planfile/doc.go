// Package planfile reads the pipeline file: YAML in, a pipeline.Plan out, or the list of its mistakes with their places.
//
// The file may come from a stranger. It is read and nothing else: nothing in it is executed, expanded, fetched or looked
// up, and what it may cost is bounded before the YAML parser sees it. A file with a mistake gives no plan at all.
//
// Start reading at Parse; grammar.go is the one table of all keys, from which the JSON Schema is made, too.
package planfile
