package pipeline

import "time"

// TriggerKind says which kind of event started a run.
type TriggerKind string

// The kinds of trigger. They are stored, and never renamed.
const (
	Push        TriggerKind = "push"
	PullRequest TriggerKind = "pull_request"
	MergeGroup  TriggerKind = "merge_group" // what the merge queue would make of the base: tested, and never deployed
	Schedule    TriggerKind = "schedule"    // a time that the default branch's plan names has come
	ByHand      TriggerKind = "manual"      // a person asked for it: its artifacts are offered to no environment
)

// Trigger is why a run exists.
type Trigger struct {
	Kind     TriggerKind `json:"kind"`
	Delivery string      `json:"delivery"` // the webhook's GUID, or the command's when a person asked again
	Repo     Repo        `json:"repo"`
	Commit   Commit      `json:"commit"`           // what is built and reported on
	Ref      string      `json:"ref"`              // where the commit can be fetched: refs/heads/…, refs/pull/N/head
	Branch   string      `json:"branch"`           // the pushed branch, or the pull request's head branch
	Pull     int         `json:"pull,omitempty"`   // the pull request's number, else 0
	Base     string      `json:"base,omitempty"`   // the base branch of the pull request or merge group
	Actor    Actor       `json:"actor"`            // whose event it is: the one who pushed, opened or asked
	Fork     bool        `json:"fork,omitempty"`   // the head lives in another repository
	Before   Commit      `json:"before,omitempty"` // of a push: what the branch held before; of a merge group: what the base holds
	Onto     Commit      `json:"onto,omitempty"`   // of a pull request: what its base held
	At       time.Time   `json:"at"`               // GitHub's own time of the event, to put late deliveries in order
	Title    string      `json:"title,omitempty"`  // the commit's or pull request's first line; text from outside, for display only

	Inputs map[string]string `json:"inputs,omitempty"` // of a run by hand: what the person chose, defaults filled in
}

// Trust says how far a run's code is trusted. It is computed once per run and recorded; the zero value trusts nothing.
type Trust int

// The trust tiers. Numbers are stored, and never change their meaning.
const (
	Outside  Trust = 0 // an outside author, not yet allowed: nothing runs
	Allowed  Trust = 1 // an outside author, this very commit allowed by a writer: runs without secrets
	Writer   Trust = 2 // a writer of the same repository: the repository's build secrets
	Approved Trust = 3 // an approved environment: its secrets, in its deployment only
)

// String is the tier as people and pages name it.
func (t Trust) String() string {
	return [...]string{"T0 outside", "T1 allowed", "T2 writer", "T3 approved"}[t]
}

// Role is what a person may do in a repository, as GitHub's permission API says it.
type Role string

// GitHub's roles, weakest first. The empty role is no role.
const (
	NoRole   Role = ""
	Read     Role = "read"
	Triage   Role = "triage"
	Write    Role = "write"
	Maintain Role = "maintain"
	Admin    Role = "admin"
)

// AtLeast reports whether r grants what want grants. An unknown role grants nothing, and nothing grants an unknown role.
func (r Role) AtLeast(want Role) bool {
	rank := map[Role]int{Read: 1, Triage: 2, Write: 3, Maintain: 4, Admin: 5}
	return rank[want] > 0 && rank[r] >= rank[want]
}
