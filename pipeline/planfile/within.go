package planfile

import (
	"fmt"
	"strconv"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// withinSense refuses what the server would not give. It is said before anything runs, with the place in the file.
func withinSense(root *value, most pipeline.Resources, m *mistakes) {
	for _, stage := range root.get("stages").list() {
		for _, step := range stage.get("steps").list() {
			asked := step.get("resources")
			if v := asked.get("memory"); most.Memory > 0 && memory(v.text()) > most.Memory {
				tooMuch(v, m, inBytes(most.Memory)+" of memory")
			}
			if v := asked.get("cpu"); most.CPUs > 0 && v != nil {
				if n, err := strconv.ParseFloat(v.word, 64); err == nil && n > most.CPUs {
					tooMuch(v, m, strconv.FormatFloat(most.CPUs, 'f', -1, 64)+" processors")
				}
			}
			if v := asked.get("pids"); most.PIDs > 0 && v != nil {
				if n, err := strconv.ParseInt(v.word, 10, 64); err == nil && n > most.PIDs {
					tooMuch(v, m, fmt.Sprintf("%d processes", most.PIDs))
				}
			}
		}
	}
}

func tooMuch(v *value, m *mistakes, most string) {
	m.add(v.at, "ask for less, or leave it out to get that", "a step may use %s on this server, and this is %s", most, shorten(v.word, 20))
}

func inBytes(n int64) string {
	if n%(1<<30) == 0 {
		return fmt.Sprintf("%dG", n>>30)
	}
	return fmt.Sprintf("%dM", n>>20)
}
