package deploy

// Verb is a command's first word.
type Verb string

// The verbs. They are stored, and never renamed.
const (
	Test       Verb = "test"
	Retest     Verb = "retest"
	Cancel     Verb = "cancel"
	Start      Verb = "run" // a pipeline that people may start, with what they choose
	OkToTest   Verb = "ok-to-test"
	Approve    Verb = "approve"
	Reject     Verb = "reject"
	Promote    Verb = "deploy"  // this pull request's commit is wanted in an environment
	Onward     Verb = "promote" // what runs in the environment before is wanted in the next
	Rollback   Verb = "rollback"
	TakeLock   Verb = "lock"
	EndLock    Verb = "unlock"
	TakeFreeze Verb = "freeze"
	EndFreeze  Verb = "unfreeze"
	Preview    Verb = "preview"
	Plan       Verb = "plan"
	Why        Verb = "why"
	Can        Verb = "can"
	Doctor     Verb = "doctor"
	Help       Verb = "help"
	Unknown    Verb = "unknown"
)
