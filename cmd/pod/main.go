// Command pod is what runs in the pods of steps: see pipeline/sandbox/kubernetes/inside. It is small, because each pod has
// a copy of it in memory, and is built as conveyor-pod beside conveyor.
package main

import (
	"os"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox/kubernetes/inside"
)

func main() { os.Exit(inside.Main(os.Args)) }
