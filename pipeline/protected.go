package pipeline

// Protected reports whether an environment is let be entered only by what a trusted run is proven to have made: people
// open it, or another environment comes before it.
func (e Environment) Protected() bool { return e.Approve != nil || e.After != "" }
