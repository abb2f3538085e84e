package deploy

import (
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Event is a fact about a repository, in the past tense. Kinds are stored as words and never renamed.
type Event interface{ Kind() string }

// PullSeen is what a webhook or the API said of a pull request.
type PullSeen struct {
	Number      int             `json:"number"`
	Open        bool            `json:"open"`
	Reopened    bool            `json:"reopened,omitempty"` // said in so many words: a late event never reopens by itself
	Merged      bool            `json:"merged,omitempty"`
	Head        pipeline.Commit `json:"head"`
	Before      pipeline.Commit `json:"before,omitempty"` // the head that this one replaced, when the event tells it
	Branch      string          `json:"branch"`           // the head's branch
	Fork        bool            `json:"fork,omitempty"`   // the head lives in another repository
	Base        string          `json:"base"`
	BaseCommit  pipeline.Commit `json:"base_commit,omitempty"`
	MergeCommit pipeline.Commit `json:"merge_commit,omitempty"` // only when merged
	Author      pipeline.Actor  `json:"author"`
	Updated     time.Time       `json:"updated"` // GitHub's own time of the state, to put late events in order
	Sender      pipeline.Actor  `json:"sender"`  // whose doing it was: of a new head, who pushed it
	Seen        time.Time       `json:"seen"`    // when we heard of it
}

// Command is what a comment asks, as it was written. Whether it may happen is decided later, by Decide.
type Command struct {
	ID          string         `json:"id"` // the delivery's GUID and the line's number: the same comment is one command
	Pull        int            `json:"pull"`
	Comment     int64          `json:"comment"`        // 0 when a button said it
	Body        string         `json:"body,omitempty"` // SHA-256 of the whole comment as it was received, in hex
	Actor       pipeline.Actor `json:"actor"`
	Verb        Verb           `json:"verb"`
	Environment string         `json:"environment,omitempty"`
	Commit      string         `json:"commit,omitempty"`  // from ENV@SHA: 7 to 40 hex digits, or empty
	Digest      string         `json:"digest,omitempty"`  // of /rollback: 7 to 64 hex digits, or empty
	Inputs      []Input        `json:"inputs,omitempty"`  // of /run, as typed
	Word        string         `json:"word,omitempty"`    // what it names besides: a stage, a step, a verb, an action; of the form of a name
	Reason      string         `json:"reason,omitempty"`  // why, in the person's own words: shown as code, never as Markdown
	For         Span           `json:"for,omitempty"`     // how long
	Line        string         `json:"line"`              // as typed, cut to 200 characters
	Problem     string         `json:"problem,omitempty"` // what is wrong with the line itself, with the line to type instead
	App         int64          `json:"app,omitempty"`     // the App that wrote it, when it is one of those that the operator lets command
	At          time.Time      `json:"at"`                // when GitHub says it was written

	// Of a press at a check, which has no comment and no line: what was pressed, and where. Commit is whole then.
	Button string         `json:"button,omitempty"` // the button's identifier, or GitHub's own "rerequested"
	Check  string         `json:"check,omitempty"`  // the check's name; empty for all checks of the commit
	Run    pipeline.RunID `json:"run,omitempty"`    // the run whose check it is, as far as GitHub tells
}

// Input is a value that someone chose for a run.
type Input struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// GroupGone says that the merge queue has taken a group apart: nobody waits for its checks any more.
type GroupGone struct {
	Commit pipeline.Commit `json:"commit"`
	Reason string          `json:"reason,omitempty"` // GitHub's word: merged, invalidated or dequeued
	At     time.Time       `json:"at"`
}

// Commanded says that a command arrived.
type Commanded struct {
	Command Command       `json:"command"`
	Repo    pipeline.Repo `json:"repo"`
	Counted bool          `json:"counted,omitempty"` // against what one person may ask in a while; earlier versions did not count
}

// RoleKnown says what the one who commands may do, as GitHub's permission API answered at that moment.
type RoleKnown struct {
	Command string        `json:"command"`
	Role    pipeline.Role `json:"role"`
	Teams   []string      `json:"teams,omitempty"` // those of the teams asked about of which the person is an active member
	// Who wrote what waits, as GitHub told at that moment: no webhook needs to have been heard for it.
	Wrote []pipeline.Actor `json:"wrote,omitempty"`
	At    time.Time        `json:"at"`
}

// ApprovalVoided says that a comment which held an approval is not any more what it was when it was heard.
type ApprovalVoided struct {
	Comment int64          `json:"comment"`
	Pull    int            `json:"pull"`
	Why     string         `json:"why"` // "edited" or "deleted"
	By      pipeline.Actor `json:"by"`
	At      time.Time      `json:"at"`
}

// LockEnded says that a lock's time is up.
type LockEnded struct {
	Environment string    `json:"environment"`
	At          time.Time `json:"at"`
}

// FreezeEnded says that a freeze's time is up.
type FreezeEnded struct {
	Environment string    `json:"environment,omitempty"` // empty: of all of them
	At          time.Time `json:"at"`
}

// Allowed says that a writer has let one commit of an outside author be tested: the head of its pull request at that
// moment, as GitHub showed it.
type Allowed struct {
	Pull    int             `json:"pull"`
	Commit  pipeline.Commit `json:"commit"`
	Actor   pipeline.Actor  `json:"actor"`
	Role    pipeline.Role   `json:"role"`
	Command string          `json:"command"`
	At      time.Time       `json:"at"`
}

// Acknowledged says that the person has been shown that the command was heard.
type Acknowledged struct {
	Command string `json:"command"`
}

// Forwarded says that what a command asks of runs has been passed on to them.
type Forwarded struct {
	Command string         `json:"command"`
	Run     pipeline.RunID `json:"run,omitempty"` // the run that was started
	Say     string         `json:"say"`
	Refused bool           `json:"refused,omitempty"`
}

// Answered says that a command has got its answer.
type Answered struct {
	Command string `json:"command"`
}

// Defined says which environments the default branch defines.
type Defined struct {
	Repo         pipeline.Repo          `json:"repo"`
	Commit       pipeline.Commit        `json:"commit"`
	Pushed       bool                   `json:"pushed"` // from a push to the default branch; else from a pull request's base, which counts only while nothing is known
	Environments []pipeline.Environment `json:"environments"`
	Plan         string                 `json:"plan"` // hash of the plan file's meaning
	Schedule     []pipeline.Time        `json:"schedule,omitempty"`

	// Of several pipelines. Events of a version that knew one have none of it, and speak of that one.
	Pipelines []string `json:"pipelines,omitempty"` // those that can be used, by name; the one without a name is ""
	Pipeline  string   `json:"pipeline,omitempty"`  // the one that declares the environments
	Wrong     bool     `json:"wrong,omitempty"`     // others cannot be used: what they said before stays in force
}

// TimeKnown says when a schedule comes next.
type TimeKnown struct {
	Time pipeline.Time `json:"time"`
	Next time.Time     `json:"next"`
	At   time.Time     `json:"at"`
}

// TimeCame says that a schedule's time has come, and what became of it.
type TimeCame struct {
	Time pipeline.Time  `json:"time"`
	Due  time.Time      `json:"due"`
	Run  pipeline.RunID `json:"run,omitempty"`
	Why  string         `json:"why,omitempty"` // why there is no run
	At   time.Time      `json:"at"`
}

// RunBegan says that a run exists.
type RunBegan struct {
	Run     pipeline.RunID   `json:"run"`
	Trigger pipeline.Trigger `json:"trigger"`
	Trust   pipeline.Trust   `json:"trust"`
	Only    string           `json:"only,omitempty"` // the stage that it ends with: such a run is never a whole one, and offers nothing
	Into    pipeline.Commit  `json:"into,omitempty"` // the base, when what it tests is not its commit but that merged into the base
	Skip    string           `json:"skip,omitempty"` // the filter that keeps it from running
	Tree    string           `json:"tree,omitempty"` // Git's id of the commit's tree
	Plan    string           `json:"plan,omitempty"` // hash of the plan
	At      time.Time        `json:"at"`

	Concurrency pipeline.Concurrency `json:"concurrency,omitempty"`
	Pipeline    string               `json:"pipeline,omitempty"`
}

// StageWanted says that a run has left its stages before this one, and wants to enter it.
type StageWanted struct {
	Run   pipeline.RunID `json:"run"`
	Stage int            `json:"stage"` // index into its plan's stages
	At    time.Time      `json:"at"`
}

// AdmissionSent says that a run knows that it was let enter a stage.
type AdmissionSent struct {
	Run   pipeline.RunID `json:"run"`
	Stage int            `json:"stage"`
}

// RunEnded says how a run ended and what it offers. Only a successful run offers artifacts.
type RunEnded struct {
	Run        pipeline.RunID      `json:"run"`
	Conclusion pipeline.Conclusion `json:"conclusion"`
	Artifacts  []pipeline.Artifact `json:"artifacts,omitempty"`
	At         time.Time           `json:"at"`
}

// ButtonsSent says that a run has been told which buttons its last check has.
type ButtonsSent struct {
	Run  pipeline.RunID `json:"run"`
	Mark string         `json:"mark"`
}

// CancelSent says that a run which is no longer wanted has been told so.
type CancelSent struct {
	Run pipeline.RunID `json:"run"`
}

// CardKnown says what ships with the promotion that waits, as it was found out for those who approve it.
type CardKnown struct {
	Environment string    `json:"environment"`
	Promotion   string    `json:"promotion"`
	Card        Card      `json:"card"`
	At          time.Time `json:"at"`
}

// RightLost says that someone who has approved what waits may not do so any more.
type RightLost struct {
	Environment string         `json:"environment"`
	Promotion   string         `json:"promotion"`
	Actor       pipeline.Actor `json:"actor"`
	Role        pipeline.Role  `json:"role"`
	Teams       []string       `json:"teams,omitempty"`
	At          time.Time      `json:"at"`
}

// DeployStarted says that an artifact is on its way into an environment, and on whose word.
type DeployStarted struct {
	Deployment  string          `json:"deployment"`
	Environment string          `json:"environment"`
	Commit      pipeline.Commit `json:"commit"`
	Digest      pipeline.Digest `json:"digest"`
	Approvals   []Approval      `json:"approvals,omitempty"`
	At          time.Time       `json:"at"`
}

// DeployFinished says how that ended. It is the one terminal record of a deployment.
type DeployFinished struct {
	Deployment string    `json:"deployment"`
	OK         bool      `json:"ok"`
	Reason     string    `json:"reason,omitempty"` // one sentence, when it is not
	Restored   bool      `json:"restored,omitempty"`
	At         time.Time `json:"at"`
}

// GateClosed says that a promotion could not start when its turn came, and why.
type GateClosed struct {
	Environment string    `json:"environment"`
	Promotion   string    `json:"promotion"`
	Reason      string    `json:"reason"`
	At          time.Time `json:"at"`
}

// DeployDelayed says that a promotion whose gate is open cannot start yet, and why. It is tried again by itself.
type DeployDelayed struct {
	Environment string    `json:"environment"`
	Promotion   string    `json:"promotion"`
	Reason      string    `json:"reason"`
	At          time.Time `json:"at"`
}

// Expired says that an environment's time is up.
type Expired struct {
	Environment string    `json:"environment"`
	At          time.Time `json:"at"`
}

// Removed says that an environment has been taken down.
type Removed struct {
	Environment string    `json:"environment"`
	At          time.Time `json:"at"`
}

// DeploymentOpening is written before GitHub is told of a deployment, so that after a crash it is asked first what it has.
type DeploymentOpening struct {
	Deployment string `json:"deployment"`
}

// DeploymentTold says what GitHub shows of a deployment.
type DeploymentTold struct {
	Deployment string `json:"deployment"`
	ID         int64  `json:"id"`
	State      string `json:"state"`
	GivenUp    string `json:"given_up,omitempty"` // why GitHub will never show it; nobody tries again
}

// PanelOpening is written before a pull request's panel comment is created.
type PanelOpening struct {
	Pull int `json:"pull"`
}

// PanelTold says what the panel comment of a pull request shows.
type PanelTold struct {
	Pull    int    `json:"pull"`
	ID      int64  `json:"id"`
	Mark    string `json:"mark"`
	GivenUp string `json:"given_up,omitempty"` // why GitHub will never show it; nobody tries again
}

// The kinds, as stored.
func (PullSeen) Kind() string          { return "pull_seen" }
func (Commanded) Kind() string         { return "commanded" }
func (RoleKnown) Kind() string         { return "role_known" }
func (ApprovalVoided) Kind() string    { return "approval_voided" }
func (LockEnded) Kind() string         { return "lock_ended" }
func (FreezeEnded) Kind() string       { return "freeze_ended" }
func (Allowed) Kind() string           { return "allowed" }
func (Acknowledged) Kind() string      { return "acknowledged" }
func (Forwarded) Kind() string         { return "forwarded" }
func (Answered) Kind() string          { return "answered" }
func (Defined) Kind() string           { return "defined" }
func (RunBegan) Kind() string          { return "run_began" }
func (RunEnded) Kind() string          { return "run_ended" }
func (TimeKnown) Kind() string         { return "time_known" }
func (TimeCame) Kind() string          { return "time_came" }
func (StageWanted) Kind() string       { return "stage_wanted" }
func (AdmissionSent) Kind() string     { return "admission_sent" }
func (GroupGone) Kind() string         { return "group_gone" }
func (ButtonsSent) Kind() string       { return "buttons_sent" }
func (CancelSent) Kind() string        { return "cancel_sent" }
func (CardKnown) Kind() string         { return "card_known" }
func (RightLost) Kind() string         { return "right_lost" }
func (DeployStarted) Kind() string     { return "deploy_started" }
func (DeployFinished) Kind() string    { return "deploy_finished" }
func (GateClosed) Kind() string        { return "gate_closed" }
func (DeployDelayed) Kind() string     { return "deploy_delayed" }
func (Expired) Kind() string           { return "expired" }
func (Removed) Kind() string           { return "removed" }
func (DeploymentOpening) Kind() string { return "deployment_opening" }
func (DeploymentTold) Kind() string    { return "deployment_told" }
func (PanelOpening) Kind() string      { return "panel_opening" }
func (PanelTold) Kind() string         { return "panel_told" }
