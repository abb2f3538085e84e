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
			withinMost(step.get("resources"), "step", most, m)
			for _, f := range step.get("services").mapping() {
				withinMost(f.value.get("resources"), "service", most, m)
			}
		}
	}
}

func withinMost(asked *value, who string, most pipeline.Resources, m *mistakes) {
	if v := asked.get("memory"); most.Memory > 0 && memory(v.text()) > most.Memory {
		tooMuch(v, who, m, inBytes(most.Memory)+" of memory")
	}
	if v := asked.get("cpu"); most.CPUs > 0 && v != nil {
		if n, err := strconv.ParseFloat(v.word, 64); err == nil && n > most.CPUs {
			tooMuch(v, who, m, strconv.FormatFloat(most.CPUs, 'f', -1, 64)+" processors")
		}
	}
	if v := asked.get("pids"); most.PIDs > 0 && v != nil {
		if n, err := strconv.ParseInt(v.word, 10, 64); err == nil && n > most.PIDs {
			tooMuch(v, who, m, fmt.Sprintf("%d processes", most.PIDs))
		}
	}
}

func tooMuch(v *value, who string, m *mistakes, most string) {
	hint := "ask for less"
	if who == "step" {
		hint += ", or leave it out to get that"
	}
	m.add(v.at, hint, "a %s may use %s on this server, and this is %s", who, most, shorten(v.word, 20))
}

func inBytes(n int64) string {
	if n%(1<<30) == 0 {
		return fmt.Sprintf("%dG", n>>30)
	}
	return fmt.Sprintf("%dM", n>>20)
}
