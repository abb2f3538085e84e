package pipeline

import "time"

// Event is a fact about a run, in the past tense. Kinds are stored as words and never renamed.
type Event interface{ Kind() string }

// Requested is a run's first event: why it exists, what is to be done, and how far its code is trusted.
type Requested struct {
	Run      RunID     `json:"run"`
	Trigger  Trigger   `json:"trigger"`
	Trust    Trust     `json:"trust"`
	Plan     Plan      `json:"plan"`
	PlanFrom Commit    `json:"plan_from"`          // the commit at which the plan was read
	Problems []Problem `json:"problems,omitempty"` // mistakes in the plan: the run ends at once, and says so
	Only     string    `json:"only,omitempty"`     // the stage that the run ends with, when it is not the whole plan
	// Of code from outside that nobody has allowed: the stages that run all the same, because the base branch's plan says
	// so. None when it is empty, and of no meaning for any other trust.
	Restricted []string  `json:"restricted,omitempty"`
	Carried    []Carried `json:"carried,omitempty"` // steps that an earlier run of the same commit and plan has passed
	Quiet      bool      `json:"quiet,omitempty"`   // checks of which all is carried are not told again
	Skip       string    `json:"skip,omitempty"`    // the filter of the plan that keeps it from running, in words
	Reused     *Reused   `json:"reused,omitempty"`  // the run that has tested the same tree by the same plan
	Merge      *Merge    `json:"merge,omitempty"`   // of a pull request that is tested as it would be once merged
	Attempt    int       `json:"attempt,omitempty"` // of the commit's run: 0 for the first, then 2, 3, …
	At         time.Time `json:"at"`
}

// StepStarted says that a worker took up a step's attempt.
type StepStarted struct {
	Step    string    `json:"step"`
	Attempt int       `json:"attempt"`
	Token   int64     `json:"token"` // the lease under which it runs: under a later one it is known to be lost
	At      time.Time `json:"at"`
}

// StepFinished says what came of a step's attempt.
type StepFinished struct {
	Step    string    `json:"step"`
	Attempt int       `json:"attempt"`
	Result  Result    `json:"result"`
	At      time.Time `json:"at"`
}

// StepLost says that an attempt ended without a result, and not by its own doing: the server stopped, or the sandbox
// could not be had.
type StepLost struct {
	Step    string    `json:"step"`
	Attempt int       `json:"attempt"`
	Reason  string    `json:"reason"`
	Stopped bool      `json:"stopped,omitempty"` // the server was stopped in good order, so that the attempt does not count
	At      time.Time `json:"at"`
}

// StepDecided says whether a step's condition holds, now that what it waits for is over.
type StepDecided struct {
	Step  string    `json:"step"`
	Holds bool      `json:"holds"`
	Why   string    `json:"why,omitempty"`   // in words, when it does not hold
	Wrong bool      `json:"wrong,omitempty"` // it could not be asked: the step fails
	At    time.Time `json:"at"`
}

// StageAsked says that the repository's stream knows that the run wants to enter a stage, and has left those before.
type StageAsked struct {
	Stage int       `json:"stage"` // index into the plan's stages
	At    time.Time `json:"at"`
}

// StageEntered says that it is the run's turn. The repository's stream decides on it.
type StageEntered struct {
	Stage int       `json:"stage"`
	At    time.Time `json:"at"`
}

// ImageResolved says which bytes an image's name stands for in this run: it is looked up once, so that all steps of the run
// have the same ones, whatever becomes of the tag.
type ImageResolved struct {
	Image  string    `json:"image"` // as the plan calls it
	Digest Digest    `json:"digest"`
	At     time.Time `json:"at"`
}

// SourceResolved says what the workspaces of this run hold besides the commit's own files: submodules and other
// repositories, each at one commit. It is found out once, so that all steps of the run have the same.
type SourceResolved struct {
	Parts []Part    `json:"parts,omitempty"`
	At    time.Time `json:"at"`
}

// CancelRequested ends a run that is not over.
type CancelRequested struct {
	Reason string    `json:"reason"` // in words: "superseded by 1a2b3c4", "cancelled by @x"
	At     time.Time `json:"at"`
}

// DeadlinePassed ends a run whose time is up.
type DeadlinePassed struct {
	Reason string    `json:"reason"` // in words: "the whole run may take 6h"
	At     time.Time `json:"at"`
}

// Reported says that the repository's stream has been told how the run ended.
type Reported struct {
	At time.Time `json:"at"`
}

// Offered says which buttons the run's last check has. The repository's stream decides on them.
type Offered struct {
	Buttons []Button `json:"buttons,omitempty"`
}

// Noted answers someone who asked for something at a check of the run: why it does not happen.
type Noted struct {
	Check string    `json:"check,omitempty"` // all of them when empty
	Note  string    `json:"note"`
	At    time.Time `json:"at"`
}

// RepoChanged says that the run's repository has another name or installation, or that GitHub can be told of it again.
type RepoChanged struct {
	Repo Repo      `json:"repo"`
	At   time.Time `json:"at"`
}

// CheckOpening is written before GitHub is told of a check, so that after a crash it is asked first what it has.
type CheckOpening struct {
	Check string `json:"check"`
}

// CheckTold says what GitHub shows of a check.
type CheckTold struct {
	Check     string `json:"check"`
	ID        int64  `json:"id"`                 // GitHub's id of the check run
	Mark      string `json:"mark"`               // the Check.Mark that was told
	Confirmed int    `json:"confirmed"`          // annotations that GitHub has
	GivenUp   string `json:"given_up,omitempty"` // why GitHub will never show it; nobody tries again
}

// The kinds, as stored.
func (Requested) Kind() string       { return "requested" }
func (StepStarted) Kind() string     { return "step_started" }
func (StepFinished) Kind() string    { return "step_finished" }
func (StepLost) Kind() string        { return "step_lost" }
func (StepDecided) Kind() string     { return "step_decided" }
func (StageAsked) Kind() string      { return "stage_asked" }
func (StageEntered) Kind() string    { return "stage_entered" }
func (ImageResolved) Kind() string   { return "image_resolved" }
func (SourceResolved) Kind() string  { return "source_resolved" }
func (CancelRequested) Kind() string { return "cancel_requested" }
func (DeadlinePassed) Kind() string  { return "deadline_passed" }
func (Reported) Kind() string        { return "reported" }
func (Offered) Kind() string         { return "offered" }
func (Noted) Kind() string           { return "noted" }
func (RepoChanged) Kind() string     { return "repo_changed" }
func (CheckOpening) Kind() string    { return "check_opening" }
func (CheckTold) Kind() string       { return "check_told" }
func (Uploaded) Kind() string        { return "uploaded" }

// Outcome says how a step's attempt ended, and whose doing it was.
type Outcome string

// The outcomes, as stored.
const (
	Passed         Outcome = "passed"
	Failed         Outcome = "failed"         // your command: it ended with another exit code than 0
	TimedOut       Outcome = "timed_out"      // your limit: the timeout of the step or of the whole run
	Resource       Outcome = "resource"       // your limit: memory or processes
	Cancelled      Outcome = "cancelled"      // someone asked
	Infrastructure Outcome = "infrastructure" // our doing: it is tried again by itself
)

// Result is what came of a step.
type Result struct {
	Outcome     Outcome      `json:"outcome"`
	ExitCode    int          `json:"exit_code,omitempty"`
	Reason      string       `json:"reason,omitempty"` // one sentence for people, empty when passed
	Tests       int          `json:"tests,omitempty"`  // from the declared reports
	TestsFailed int          `json:"tests_failed,omitempty"`
	Annotations []Annotation `json:"annotations,omitempty"`
	Tested      *Tested      `json:"tested,omitempty"` // what else the reports say
	Artifact    *Artifact    `json:"artifact,omitempty"`
	Inputs      Digest       `json:"inputs,omitempty"` // the StepDigest of what ran
	// What the step put out for others, by name. Text from a build: a value of a variable, and nothing else.
	Outputs map[string]string `json:"outputs,omitempty"`

	Secondary []Artifact        `json:"secondary,omitempty"` // of a buildspec: its secondary artifacts
	Exported  map[string]string `json:"exported,omitempty"`  // of a buildspec: its exported variables, which are no secrets
	Phases    []PhaseEnd        `json:"phases,omitempty"`    // of a buildspec: each try of each phase, in order
}

// PhaseEnd is how a try of a buildspec's phase ended.
type PhaseEnd struct {
	Name   string `json:"name"`
	Failed bool   `json:"failed,omitempty"`
	Took   int64  `json:"took,omitempty"` // seconds
}

// Annotation points at a line of the tree.
type Annotation struct {
	Path    string `json:"path"`
	Line    int    `json:"line"`
	Level   string `json:"level"` // "failure", "warning" or "notice"
	Title   string `json:"title"`
	Message string `json:"message"`
}

// Artifact is what a step made, named by digest.
type Artifact struct {
	Name   string `json:"name"`
	Digest Digest `json:"digest"`
	Files  int    `json:"files"`
	Size   int64  `json:"size"` // bytes
	// Where its provenance is kept: the digest of an artifact that holds the signed bundle. Empty when there is none.
	Provenance Digest `json:"provenance,omitempty"`
}
