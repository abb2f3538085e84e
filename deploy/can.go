package deploy

import (
	"fmt"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// can says what the one who asks may do here at this moment. It asks the very rulings that the commands get, so that
// it never promises what they refuse.
func (s State) can(p Pending, who RoleKnown) Ruling {
	c := p.Command
	if !who.Role.AtLeast(pipeline.Read) {
		return refuse("`/can` needs the role read in this repository; @%s has %s.", c.Actor.Login, roleWord(who.Role))
	}
	if c.Environment != "" {
		spec, name, no := s.environment(c)
		if no != nil {
			return *no
		}
		answer := pipeline.Reason{Say: fmt.Sprintf("@%s, who has %s, in `%s`:", c.Actor.Login, roleWord(who.Role), name)}
		for _, line := range s.linesIn(spec, name) {
			answer.Because = append(answer.Because, pipeline.Reason{Say: fmt.Sprintf("`%s`: %s", line.Line, verdict(s.try(p, line, who)))})
		}
		return Ruling{Say: answer.Markdown()}
	}
	answer := pipeline.Reason{Say: fmt.Sprintf("@%s, who has %s, may type here now:", c.Actor.Login, roleWord(who.Role))}
	answer.Because = append(answer.Because, pipeline.Reason{Say: "anywhere: `/plan promote ENV`, `/why`, `/can`, `/help`"})
	lines := []Command{{Verb: Test}, {Verb: Retest}, {Verb: Cancel}, {Verb: Preview, Word: "keep"}, {Verb: Preview, Word: "stop"}, {Verb: TakeFreeze}, {Verb: EndFreeze}}
	answer.Because = append(answer.Because, s.granted("on this pull request", p, lines, who))
	for _, spec := range s.Definitions {
		c.Environment = spec.Name
		if _, name, no := s.environment(c); no == nil {
			answer.Because = append(answer.Because, s.granted("in `"+name+"`", p, s.linesIn(spec, name), who))
		}
	}
	return Ruling{Say: answer.Markdown() + "\n`/can ENV` says why not the others."}
}

// linesIn are the commands that are about an environment, as one would type them now.
func (s State) linesIn(spec pipeline.Environment, name string) (lines []Command) {
	waits := ""
	if w := s.Places[name].Waiting; w != nil {
		waits = string(w.Commit)
	}
	lines = append(lines, Command{Verb: Promote, Environment: name})
	if spec.After != "" {
		lines = append(lines, Command{Verb: Onward, Environment: name})
	}
	if spec.Approve != nil {
		lines = append(lines, Command{Verb: Approve, Environment: name, Commit: waits})
	}
	lines = append(lines, Command{Verb: Reject, Environment: name, Commit: waits}, Command{Verb: Rollback, Environment: name})
	if !spec.On.PullRequest {
		lines = append(lines, Command{Verb: TakeLock, Environment: name}, Command{Verb: EndLock, Environment: name, Reason: "REASON"})
	}
	lines = append(lines, Command{Verb: TakeFreeze, Environment: name}, Command{Verb: EndFreeze, Environment: name})
	for i, l := range lines {
		words := []string{"/" + string(l.Verb), l.Environment}
		if l.Reason != "" {
			words = append(words, l.Reason)
		}
		if l.Commit != "" {
			words[1] += "@" + pipeline.Commit(l.Commit).Short()
		}
		lines[i].Line = strings.Join(words, " ")
	}
	return lines
}

// try rules on a command without doing it.
func (s State) try(asked Pending, line Command, who RoleKnown) Ruling {
	try := asked
	line.ID, line.Pull, line.Comment, line.Actor, line.App, line.At = asked.Command.ID, asked.Command.Pull, asked.Command.Comment, asked.Command.Actor, asked.Command.App, asked.Command.At
	if line.Line == "" {
		line.Line = strings.TrimSpace("/" + string(line.Verb) + " " + line.Word)
	}
	try.Command = line
	return Decide(s, try, who)
}

func verdict(r Ruling) string {
	if r.Refused {
		return "no. " + r.Say
	}
	return "yes"
}

// granted lists those of some commands that would be granted.
func (s State) granted(where string, asked Pending, lines []Command, who RoleKnown) pipeline.Reason {
	var words []string
	for _, l := range lines {
		if l.Line == "" {
			l.Line = strings.TrimSpace("/" + string(l.Verb) + " " + l.Word)
		}
		if !s.try(asked, l, who).Refused {
			words = append(words, "`"+l.Line+"`")
		}
	}
	if len(words) == 0 {
		return pipeline.Reason{Say: where + ": nothing"}
	}
	return pipeline.Reason{Say: where + ": " + strings.Join(words, ", ")}
}
