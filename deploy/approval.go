package deploy

import (
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Approval is one person's word that exactly these bytes of exactly this commit may enter one environment.
type Approval struct {
	Actor       pipeline.Actor  `json:"actor"`
	Role        pipeline.Role   `json:"role"` // at the moment of the decision
	Teams       []string        `json:"teams,omitempty"`
	Environment string          `json:"environment"`
	Commit      pipeline.Commit `json:"commit"`
	Digest      pipeline.Digest `json:"digest"`
	Plan        string          `json:"plan"`    // hash of the plan whose rule was satisfied
	Command     string          `json:"command"` // the command that said it
	Comment     int64           `json:"comment"` // where it was said
	At          time.Time       `json:"at"`
}
