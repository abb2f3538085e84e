package pipeline

// InputArtifact is an artifact of an earlier step that a step finds in its workspace.
type InputArtifact struct {
	Artifact string `json:"artifact"`
	Path     string `json:"path"`             // a folder below the top of the workspace
	Digest   Digest `json:"digest,omitempty"` // what the name stands for, in a step that is about to run
}

// Handed are the inputs of a step by digest, as far as the run has made them. missing is one that it has not.
func (s State) Handed(step Step) (inputs []InputArtifact, missing string) {
	made := map[string]Digest{}
	for _, st := range s.Steps {
		if st.Phase == Done && st.Result.Outcome == Passed {
			for _, one := range st.Result.Made() {
				made[one.Name] = one.Digest
			}
		}
	}
	for _, in := range step.Inputs {
		if in.Digest = made[in.Artifact]; in.Digest == "" {
			missing = in.Artifact
		}
		inputs = append(inputs, in)
	}
	return inputs, missing
}

// HandsOver reports whether another step of the plan has an artifact as its input.
func (p Plan) HandsOver(artifact string) bool {
	for _, stage := range p.Stages {
		for _, step := range stage.Steps {
			for _, in := range step.Inputs {
				if in.Artifact == artifact {
					return true
				}
			}
		}
	}
	return false
}

// Discards says why an artifact of a step is not kept: it is nothing that may be deployed, and no other step wants it. It is
// empty for one that is kept. Whether what is kept counts for more is for State.Artifacts to say.
func (s State) Discards(artifact string) (why string) {
	switch {
	case s.Plan.HandsOver(artifact):
		return ""
	case s.Trust < Writer:
		return "the code comes from outside"
	case s.Merge != nil:
		return "it is made of a merge that is only tested"
	}
	return ""
}
