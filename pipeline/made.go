package pipeline

// Made are all artifacts of the result, for the caller to read or to complete.
func (r *Result) Made() (all []*Artifact) {
	if r.Artifact != nil {
		all = append(all, r.Artifact)
	}
	for i := range r.Secondary {
		all = append(all, &r.Secondary[i])
	}
	return all
}
