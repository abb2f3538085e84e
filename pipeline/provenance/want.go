package provenance

import (
	"fmt"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Want is what a claim must say. Each field that is set is compared exactly; none is a pattern. Trust is the least that
// is enough.
type Want struct {
	Subject    pipeline.Digest // the artifact, or one of its files
	Artifact   pipeline.Digest // the artifact itself
	Builder    string
	Repository string
	RepoID     int64
	Commit     pipeline.Commit
	Plan       pipeline.Digest
	Run        pipeline.RunID
	Step       string
	Trust      pipeline.Trust
}

// Check says in words what of a claim is not as wanted, or nothing.
func (w Want) Check(c Claim) error {
	if w.Subject != "" && !c.Has(w.Subject) {
		return fmt.Errorf("it is not about %s", w.Subject)
	}
	for _, f := range []struct{ what, want, is string }{
		{"the artifact", string(w.Artifact), string(c.Digest)},
		{"the builder", w.Builder, c.Builder},
		{"the repository", w.Repository, c.Repository},
		{"the repository's number", number(w.RepoID), number(c.RepoID)},
		{"the commit", string(w.Commit), string(c.Commit)},
		{"the plan", string(w.Plan), string(c.Plan)},
		{"the run", string(w.Run), string(c.Run)},
		{"the step", w.Step, c.Step},
	} {
		if f.want != "" && f.want != f.is {
			return fmt.Errorf("%s is %q, and must be %q", f.what, f.is, f.want)
		}
	}
	if c.Trust < w.Trust {
		return fmt.Errorf("the run was of the tier %s, and must be %s at least", c.Trust, w.Trust)
	}
	return nil
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
