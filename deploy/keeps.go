package deploy

import "github.com/conveyor-ci/conveyor/pipeline"

// Keeps are the artifacts that must not be thrown away: what runs somewhere, is on its way, waits, or ran before and can be
// gone back to; and what a known build has made, since a person may still want it somewhere. A digest may be named twice.
func (s State) Keeps() (all []pipeline.Digest) {
	for _, p := range s.Places {
		if p.Live != nil {
			all = append(all, p.Live.Digest)
		}
		for _, r := range p.Past {
			all = append(all, r.Digest)
		}
		for _, w := range []*Promotion{p.Flight, p.Waiting} {
			if w == nil {
				continue
			}
			all = append(all, w.Digest)
			if w.Settled != nil {
				all = append(all, w.Settled.Digest)
			}
		}
	}
	for _, b := range s.Builds {
		for _, a := range b.Artifacts {
			all = append(all, a.Digest)
		}
	}
	return all
}
