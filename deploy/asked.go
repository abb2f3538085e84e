package deploy

import (
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Asked says that the operator wants a run: what is to be started, and with which choices. It was looked at before, so that
// it is refused only when something has changed since.
type Asked struct {
	Trigger  pipeline.Trigger  `json:"trigger"`
	Pipeline string            `json:"pipeline"` // as people call it
	Given    map[string]string `json:"given,omitempty"`
}

// AskDone says what became of it.
type AskDone struct {
	Delivery string         `json:"delivery"`
	Run      pipeline.RunID `json:"run,omitempty"`
	Why      string         `json:"why,omitempty"` // why there is no run
	At       time.Time      `json:"at"`
}

// StartAsked owes the operator a run.
type StartAsked struct{ Delivery string }

// Kind is how it is stored.
func (Asked) Kind() string { return "asked" }

// Kind is how it is stored.
func (AskDone) Kind() string { return "ask_done" }

// Name of the effect.
func (e StartAsked) Name() string { return "asked/" + e.Delivery }

// owedAsks are runs that were asked for, and are not begun. A repository that is shut starts nothing.
func (s State) owedAsks() (owed []Effect) {
	if s.Shut != "" {
		return nil
	}
	for _, delivery := range sortedKeys(s.Asks) {
		owed = append(owed, StartAsked{delivery})
	}
	return owed
}
