// Package target is the contract of places that artifacts are deployed to.
//
// A target puts the files of one artifact in place, atomically as far as the place allows, and can tell afterwards what
// it really runs. It never decides whether a deployment may happen: gates, order and locks are the deploy package's
// business. The adapters are static and exec; targettest proves each of them.
package target

import (
	"context"
	"errors"
	"io"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

// ErrFenced means that the place has already been given to a deployment with a higher token.
var ErrFenced = errors.New("target: a newer deployment owns this place")

// ErrRefused means that the settings or the operator's rules forbid this deployment; repeating it is useless.
var ErrRefused = errors.New("target: refused")

// Deployment is one attempt to put an artifact in place.
type Deployment struct {
	ID          string // the same ID again is the same attempt: it is finished, not begun anew
	Token       int64  // fencing: a place refuses a lower token than it has seen
	Repo        pipeline.Repo
	Environment string // "staging", "preview/pr-12"
	Commit      pipeline.Commit
	Digest      pipeline.Digest
	Settings    map[string]string // of the plan's target
	Secrets     []secret.Given    // for this deployment only; never in a log, an argument or a file on a disk
	Log         io.Writer         // lines for people: what is done, where
}

// Files lays an artifact's files out below dir, verified.
type Files func(ctx context.Context, digest pipeline.Digest, dir string) error

// Target puts artifacts in place. All methods may be called concurrently, and repeated with the same deployment.
type Target interface {
	// Deploy puts the artifact in place and returns when the place serves it. After an error the place still serves
	// what it served before, or Probe tells otherwise.
	Deploy(ctx context.Context, d Deployment, files Files) error

	// Probe asks the place itself which artifact it runs. An empty digest means none.
	Probe(ctx context.Context, d Deployment) (pipeline.Digest, error)

	// Remove takes the environment down. A place that is gone already is no error.
	Remove(ctx context.Context, d Deployment) error
}
