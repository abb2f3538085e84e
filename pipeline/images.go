package pipeline

// resolved notes what an image's name stands for. The first word counts: a tag that moves in the middle of a run moves
// for the next run.
func (s State) resolved(e ImageResolved) State {
	if _, known := s.Images[e.Image]; known || s.Run == "" || !e.Digest.Valid() {
		return s
	}
	images := make(map[string]Digest, len(s.Images)+1)
	for name, digest := range s.Images {
		images[name] = digest
	}
	images[e.Image] = e.Digest
	s.Images = images
	return s
}

// ImageNames are the images of the plan, of steps and of services, each once, in the order in which they are written.
func (p Plan) ImageNames() (names []string) {
	seen := map[string]bool{}
	for _, stage := range p.Stages {
		for _, step := range stage.Steps {
			for _, name := range step.images() {
				if !seen[name] {
					names, seen[name] = append(names, name), true
				}
			}
		}
	}
	return names
}
