package static

import "github.com/conveyor-ci/conveyor/deploy/target"

// At has a target tell of each point where a crash could happen.
func (t *Target) At(told func(point string)) { t.at = told }

// Swap switches a place to a release that is there.
func (t *Target) Swap(d target.Deployment, release string) error {
	p, err := t.place(d)
	if err != nil {
		return err
	}
	return t.swap(p, release)
}
