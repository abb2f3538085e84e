package deploy

import (
	"fmt"
	"strings"
)

// manual is one command for those who ask.
type manual struct {
	verb Verb
	form string
	does string
	who  string
	more string
}

const (
	whoOpens  = "whom the environment's `approve.by` names"
	whoWrites = "write"
)

// manuals are all commands, in the order in which a change meets them.
var manuals = []manual{
	{Test, "`/test` or `/test STAGE`", "runs the checks of the head, or only those up to a stage", whoWrites,
		"A stage that several pipelines have is named `/test PIPELINE/STAGE`; `/test PIPELINE` runs all of one. `/test STAGE` runs that stage anew, and of those before it what has not passed at this commit. It is never a whole run: nothing that it makes is deployed."},
	{Retest, "`/retest` or `/retest failed`", "runs the checks of the head again, or only what has not passed", whoWrites,
		"`/retest failed` keeps what has passed at this commit under the same plan, and runs the rest. When all is green then, it counts as a whole run."},
	{Cancel, "`/cancel`", "ends the runs of this pull request", whoWrites, ""},
	{Start, "`/run PIPELINE` or `/run PIPELINE KEY=VALUE`", "starts a pipeline that the plan lets people start, at the head", whoWrites,
		"A value with blanks stands in double quotes: `note=\"two words\"`. The pipeline of `.github/conveyor.yml` is called `conveyor`. Nothing that the run makes is deployed."},
	{OkToTest, "`/ok-to-test SHA`", "vouches for one commit of an outside author, so that it is tested", whoWrites,
		"SHA is the head that you have read, 7 to 40 digits. A push makes it another one."},
	{Approve, "`/approve ENV` or `/approve ENV@SHA`", "lets the commit that waits for ENV in", whoOpens,
		"An approval is for one commit and one digest. Editing or deleting the comment takes it back, as long as nothing has come of it."},
	{Reject, "`/reject ENV` or `/reject ENV@SHA`, and a reason", "sends away what waits for ENV", whoOpens + ", else write",
		"A newer build may wait there again; the one that was rejected only when someone asks for it by its commit."},
	{Promote, "`/deploy ENV` or `/deploy ENV@SHA`", "wants this pull request's commit in ENV", whoWrites,
		"It opens no gate: it makes the commit wait for one."},
	{Onward, "`/promote ENV` or `/promote ENV@SHA`", "wants in ENV what runs in the environment before it", whoWrites,
		"ENV must have an `after`. Whatever pull request it is said on, the very commit and digest that run there are meant. It opens no gate."},
	{Rollback, "`/rollback ENV` or `/rollback ENV DIGEST`", "puts a release of before back", whoOpens + ", else write",
		"Neither a lock nor a freeze keeps it."},
	{TakeLock, "`/lock ENV`, a reason, and `for 2h`", "keeps ENV for the commits of this pull request", whoWrites,
		"A lock lasts 24h unless a time is named, 7d at most, and ends with the pull request. Said again, it is renewed."},
	{EndLock, "`/unlock ENV`, and a reason", "gives ENV back", "write on the pull request that holds it, or who took it; else maintain, with a reason", ""},
	{TakeFreeze, "`/freeze` or `/freeze ENV`, a reason, and `for 2h`", "lets nothing enter ENV, or anything", "maintain",
		"A freeze lasts 24h unless a time is named, 30d at most, and ends by itself. What is on its way arrives; `/rollback` stays possible. A first word that is no environment belongs to the reason, and everything is frozen."},
	{EndFreeze, "`/unfreeze` or `/unfreeze ENV`", "ends a freeze", "maintain", ""},
	{Preview, "`/preview keep`, `/preview keep 3d` or `/preview stop`", "keeps this pull request's preview for longer, or takes it down", whoWrites,
		"A stopped preview comes back with the next push, or with `/deploy ENV`. It is kept 30d at most, counted from the comment."},
	{Plan, "`/plan promote ENV` or `/plan deploy ENV`", "says what that would do, who may, and what is missing", "read", "It changes nothing. `@SHA` may follow ENV."},
	{Why, "`/why`, `/why STEP` or `/why ENV`", "says why a step or an environment stands where it does", "read", "STEP may be a stage, too."},
	{Can, "`/can` or `/can ENV`", "says what you may do here now", "read", ""},
	{Doctor, "`/doctor`", "says what this repository still lacks", "read",
		"It looks at the plan on the default branch, the App's permissions, the required checks and who can pass them, the environments in force, and the teams that gates name. It changes nothing."},
	{Help, "`/help` or `/help COMMAND`", "this list, or more on one of it", "everyone", ""},
}

// HelpText lists the commands.
var HelpText = helpText()

func helpText() string {
	var b strings.Builder
	b.WriteString("| command | what it does | who may |\n|---|---|---|\n")
	for _, m := range manuals {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", m.form, m.does, m.who)
	}
	b.WriteString("\nA command stands on a line of its own in a new comment. Edited comments, quotes and code are not read.")
	return b.String()
}

// helpOn answers `/help`, about all commands or about one. A word that is none gets the list.
func helpOn(v Verb) Ruling {
	for _, m := range manuals {
		if m.verb == v {
			return Ruling{Say: strings.TrimSpace(fmt.Sprintf("%s %s. Who may: %s. %s", m.form, m.does, m.who, m.more))}
		}
	}
	return Ruling{Say: HelpText}
}
