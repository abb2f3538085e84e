package deploy

import (
	"slices"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Entry is a fact for those who ask later who let what in: a word that was given, refused or became void, a deployment
// that began or ended.
type Entry struct {
	What        string          `json:"what"` // a word of the list below
	Environment string          `json:"environment,omitempty"`
	Deployment  string          `json:"deployment,omitempty"` // the promotion, by the name of the deployment that it becomes
	Commit      pipeline.Commit `json:"commit,omitempty"`
	Digest      pipeline.Digest `json:"digest,omitempty"`
	Approvals   []Approval      `json:"approvals,omitempty"` // the one that was given; those that became void; those on whose word it began
	Command     *Command        `json:"command,omitempty"`   // of a refusal
	OK          bool            `json:"ok,omitempty"`
	Restored    bool            `json:"restored,omitempty"`
	Say         string          `json:"say,omitempty"` // the reason, in words
	At          time.Time       `json:"at"`

	// Of a run that a person started.
	Actor    *pipeline.Actor   `json:"actor,omitempty"`
	Run      pipeline.RunID    `json:"run,omitempty"`
	Pipeline string            `json:"pipeline,omitempty"`
	Inputs   map[string]string `json:"inputs,omitempty"`
}

// What an entry tells.
const (
	WasApproved = "approval"
	WasRefused  = "refusal"
	BecameVoid  = "void"
	HasStarted  = "start"
	HasFinished = "finish"
	WasBegun    = "run"
)

// Audit tells what an event has done that must be remembered, from the state before it and the one after. An event that
// no longer fitted has done nothing.
func Audit(before, after State, e Event) (entries []Entry) {
	switch e := e.(type) {
	case RoleKnown:
		entries = auditRuling(before, after, e)
	case RunBegan:
		if _, there := before.Runs[e.Run]; there || e.Trigger.Kind != pipeline.ByHand {
			return nil
		}
		actor := e.Trigger.Actor
		return []Entry{{What: WasBegun, Commit: e.Trigger.Commit, At: e.At, Actor: &actor, Run: e.Run, Pipeline: pipeline.Called(e.Pipeline), Inputs: e.Trigger.Inputs}}
	case DeployStarted:
		flight := after.Places[e.Environment].Flight
		if flight == nil || flight.ID != e.Deployment || before.Places[e.Environment].Flight != nil {
			return nil
		}
		return []Entry{{What: HasStarted, Environment: e.Environment, Deployment: e.Deployment, Commit: e.Commit, Digest: e.Digest,
			Approvals: e.Approvals, Say: flight.Why, At: e.At}}
	case DeployFinished:
		for _, name := range before.PlaceNames() {
			if f := before.Places[name].Flight; f != nil && f.ID == e.Deployment {
				entries = []Entry{{What: HasFinished, Environment: name, Deployment: f.ID, Commit: f.Commit, Digest: f.Digest,
					OK: e.OK, Restored: e.Restored, Say: e.Reason, At: e.At}}
				break
			}
		}
	}
	return append(entries, auditVoid(before, after)...)
}

func auditRuling(before, after State, e RoleKnown) []Entry {
	p, ok := after.Commands[e.Command]
	if !ok || !p.Decided || before.Commands[e.Command].Decided {
		return nil
	}
	c := p.Command
	switch c.Verb {
	case Approve, Reject, Rollback, Promote, Onward, Start:
	default:
		return nil
	}
	if p.Refused {
		entry := Entry{What: WasRefused, Environment: c.Environment, Command: &c, Say: p.Say, At: e.At}
		if w := after.Places[c.Environment].Waiting; w != nil {
			entry.Deployment, entry.Commit, entry.Digest = w.ID, w.Commit, w.Digest
		}
		return []Entry{entry}
	}
	for _, name := range after.PlaceNames() {
		w := after.Places[name].Waiting
		if w == nil {
			continue
		}
		for _, a := range w.Approvals {
			if a.Command == e.Command {
				return []Entry{{What: WasApproved, Environment: name, Deployment: w.ID, Commit: w.Commit, Digest: w.Digest,
					Approvals: []Approval{a}, Say: p.Say, At: e.At}}
			}
		}
	}
	return nil
}

// auditVoid finds approvals that were there before and are not there any more.
func auditVoid(before, after State) (entries []Entry) {
	for _, name := range before.PlaceNames() {
		w := before.Places[name].Waiting
		if w == nil || len(w.Approvals) == 0 {
			continue
		}
		now := after.Places[name].Waiting
		entry := Entry{What: BecameVoid, Environment: name, Deployment: w.ID, Commit: w.Commit, Digest: w.Digest, Say: "nothing waits there any more"}
		var left []Approval
		switch {
		case now != nil && now.ID == w.ID:
			left, entry.Say = now.Approvals, "it does not count any more"
			if n := len(now.Void); now.Voided != "" {
				entry.Say = now.Voided
			} else if n > 0 {
				entry.Say = now.Void[n-1].Why
			}
		case now != nil:
			entry.Say = now.ID + " has taken its place"
		}
		for _, a := range w.Approvals {
			if !slices.ContainsFunc(left, func(b Approval) bool { return a.Command == b.Command }) {
				entry.Approvals = append(entry.Approvals, a)
			}
		}
		if len(entry.Approvals) > 0 {
			entries = append(entries, entry)
		}
	}
	return entries
}
