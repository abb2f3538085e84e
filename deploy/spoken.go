package deploy

import (
	"fmt"
	"slices"
	"time"
)

// How much one person may ask in one repository. Each command costs calls to GitHub, which all people and all repositories
// of an account share, and anyone who can read a public repository can comment on it.
const (
	MostCommands = 60
	CommandsTime = 10 * time.Minute
)

// Spoken is what one person has asked lately.
type Spoken struct {
	At   []time.Time // of each command that was heeded
	Told bool        // that it was too much
}

// counted counts a command. Of those that are too many the first one is answered with the reason, and the others cost
// nothing: no reaction, no answer, no call.
func (s State) counted(c Command) (_ State, _ Command, heed bool) {
	spoken := map[int64]Spoken{}
	for who, was := range s.Spoken {
		was.At = slices.DeleteFunc(slices.Clone(was.At), func(at time.Time) bool { return !at.After(c.At.Add(-CommandsTime)) })
		if len(was.At) > 0 {
			spoken[who] = was
		}
	}
	was := spoken[c.Actor.ID]
	heed = true
	switch {
	case len(was.At) < MostCommands:
		was.At, was.Told = append(was.At, c.At), false
	case was.Told:
		heed = false
	default:
		was.Told = true
		c.Problem = fmt.Sprintf("@%s has given %d commands here within %s. The next one is taken after %s.",
			c.Actor.Login, MostCommands, inWords(CommandsTime), clock(slices.MinFunc(was.At, time.Time.Compare).Add(CommandsTime)))
	}
	spoken[c.Actor.ID] = was
	s.Spoken = spoken
	return s, c, heed
}
