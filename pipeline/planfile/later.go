package planfile

// laterKeys picks the keys that the next versions bring to a place, with what to write until then.
func laterKeys(names ...string) (keys []later) {
	instead := map[string]string{
		"image":      "write it at each step that is to run in an image",
		"strategy":   "leave it out: a deployment switches from the old release to the new one at once",
		"needs":      "write it in a step; stages run in the order in which they are written",
		"services":   "write it in a step",
		"cache":      "write it in a step",
		"matrix":     "write it in a step",
		"if":         "choose branches in on, or write it in a stage or a step",
		"window":     "ask for approve, and approve when the time has come",
		"ssh":        "write target: {exec: <script>} with a script of the operator that copies the files by ssh",
		"s3":         "write target: {exec: <script>} with a script of the operator that uploads the files",
		"kubernetes": "write target: {exec: <script>} with a script of the operator that calls kubectl",
		"ecs":        "write target: {exec: <script>} with a script of the operator that updates the service",
	}
	for _, name := range names {
		keys = append(keys, later{name, instead[name]})
	}
	return keys
}
