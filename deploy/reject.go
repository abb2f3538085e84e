package deploy

import (
	"fmt"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Rejection is one person's word that exactly these bytes of exactly this commit may not enter an environment.
type Rejection struct {
	Commit pipeline.Commit
	Digest pipeline.Digest
	By     pipeline.Actor
	Reason string
	At     time.Time
}

func (r *Rejection) words() string {
	return fmt.Sprintf("by @%s%s", r.By.Login, because(r.Reason))
}

func (r *Rejection) is(c pipeline.Commit, d pipeline.Digest) bool {
	return r != nil && r.Commit == c && r.Digest == d
}

// reject sends away what waits. Who may let it in may keep it out; a newer build may wait again, and this one when a
// person asks for it by name.
func (s State) reject(p Pending, who RoleKnown) Ruling {
	c := p.Command
	spec, name, no := s.environment(c)
	if no != nil {
		return *no
	}
	if !opens(spec, c.Actor, who, s.Places[name]) {
		return refuse("What waits for `%s` may be rejected by %s; @%s has %s. Ask one of them to comment `/reject %s%s`.",
			name, openers(spec), c.Actor.Login, roleWord(who.Role), name, sha(s.Places[name]))
	}
	place := s.Places[name]
	w := place.Waiting
	if w == nil {
		return refuse("Nothing waits for `%s`, so there is nothing to reject.", name)
	}
	if !speaksOf(p, w.Commit) {
		return refuse("`%s` waits with %s, and this comment speaks of %s. If you mean what waits, type `/reject %s@%s`.",
			name, w.Commit.Short(), spoken(p), name, w.Commit.Short())
	}
	place.Waiting = nil
	if w.Rollback { // it was here before: that it is not wanted back now says nothing of it as a build
		return Ruling{Say: fmt.Sprintf("`%s` does not go back to %s (`%s`)%s.", name, w.Commit.Short(), w.Digest.Short(), because(c.Reason)), Place: &place}
	}
	place.Rejected = &Rejection{Commit: w.Commit, Digest: w.Digest, By: c.Actor, Reason: c.Reason, At: who.At}
	return Ruling{Place: &place, Say: fmt.Sprintf("Rejected: %s (`%s`) does not enter `%s`%s. A newer build may wait there again, and this one when someone types `/deploy %s@%s`.",
		w.Commit.Short(), w.Digest.Short(), name, because(c.Reason), name, w.Commit.Short())}
}

// opens reports whether someone is one of those who open an environment's gate for what waits; where there is none, those
// who may write.
func opens(spec pipeline.Environment, actor pipeline.Actor, who RoleKnown, p Place) bool {
	if spec.Approve == nil {
		return who.Role.AtLeast(pipeline.Write)
	}
	return eligible(*spec.Approve, actor, who.Role, who.Teams, waiting(p))
}

// openers names them.
func openers(spec pipeline.Environment) string {
	if spec.Approve == nil {
		return string(pipeline.Write)
	}
	return whom(*spec.Approve)
}
