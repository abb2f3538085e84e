// Package provenance says, signed, where an artifact comes from: an in-toto statement with a SLSA v1 provenance, in a
// Sigstore bundle that other tools can prove, too.
//
// The server alone signs. Whoever verifies trusts nothing but public keys that they hold already: the bundle names no key
// that would count. A bundle has one form, byte for byte; whatever differs from it is refused. It never asks the net.
// Start reading at Claim, then Sign and Verify.
package provenance

import (
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// BuildType says how the fields of a statement are to be read. It is stored, and never renamed.
const BuildType = "https://github.com/conveyor-ci/conveyor/docs/provenance/v1"

// FileName is what a bundle is called when it is a file.
const FileName = "provenance.sigstore.json"

// MaxFiles is how many files of an artifact are listed beside it, so that each can be proven alone. Of a larger artifact
// only the manifest is named. Other verifiers take at most 1,024 subjects.
const MaxFiles = 1000

// Claim is what a provenance says of one artifact.
type Claim struct {
	Artifact string          // its name in the plan
	Digest   pipeline.Digest // of its manifest
	Files    []File          // sorted by path; empty when there are more than MaxFiles

	Builder    string // the public address of the server that signs
	Repository string // the address of the repository, as it was called then
	RepoID     int64  // its number at GitHub, which is its identity
	Event      pipeline.TriggerKind
	Ref        string
	Commit     pipeline.Commit
	PlanCommit pipeline.Commit // where the plan was read
	PlanPath   string          // its file; empty for the usual one
	Plan       pipeline.Digest // of what the plan says
	Trust      pipeline.Trust
	Isolation  string // what kept the step apart
	Image      string // that the step ran in; empty for the tools of the machine
	ImageID    pipeline.Digest

	Run        pipeline.RunID
	Step       string
	StepDigest pipeline.Digest // of all that went into the step; empty when it is not known
	Attempt    int
	Started    time.Time
	Finished   time.Time
}

// File is one file of the artifact.
type File struct {
	Path   string
	Digest pipeline.Digest
}

// Has reports whether the claim is about this digest: the artifact's, or that of one of its files.
func (c Claim) Has(d pipeline.Digest) bool {
	if d == c.Digest {
		return true
	}
	for _, f := range c.Files {
		if f.Digest == d {
			return true
		}
	}
	return false
}
