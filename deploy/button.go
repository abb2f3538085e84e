package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Rerequested is GitHub's own button, which every check has that is over.
const Rerequested = "rerequested"

// mostButtons is how many GitHub shows at a check.
const mostButtons = 3

// identifier names a button in the 20 bytes that GitHub allows. The name of an environment that is too long for them is
// told by its hash, which is looked for among those there are.
func identifier(verb Verb, environment string) string {
	if whole := string(verb) + "/" + environment; len(whole) <= 20 {
		return whole
	}
	sum := sha256.Sum256([]byte(environment))
	return (string(verb) + "~" + hex.EncodeToString(sum[:]))[:20]
}

// ButtonVerb is what a button's identifier asks for, false when it is none of ours.
func ButtonVerb(id string) (Verb, bool) {
	if id == pipeline.CancelButton {
		return Cancel, true
	}
	for _, verb := range []Verb{Approve, Promote, Rollback} {
		if rest, ok := strings.CutPrefix(id, string(verb)); ok && len(rest) > 1 && (rest[0] == '/' || rest[0] == '~') {
			return verb, true
		}
	}
	return "", false
}

// buttons are what a person can ask for with one press, by the run whose last check shows them: to let in what waits, to
// want a build where it can go next, and to go back from what runs.
func (s State) buttons() map[pipeline.RunID][]pipeline.Button {
	all := map[pipeline.RunID][]pipeline.Button{}
	add := func(run pipeline.RunID, verb Verb, word, env, says string) {
		if len(all[run]) < mostButtons {
			all[run] = append(all[run], pipeline.Button{Label: word + " " + env, Description: says, Identifier: identifier(verb, env)})
		}
	}
	names := s.PlaceNames()
	for _, name := range names {
		p := s.Places[name]
		if w := p.Waiting; w != nil && !p.Closing && !w.Rollback && p.Spec.Approve != nil && len(w.Approvals) < max(p.Spec.Approve.Count, 1) {
			add(w.Run, Approve, "Approve", name, fmt.Sprintf("Let %s into %s", w.Commit.Short(), name))
		}
	}
	for _, b := range s.newest() {
		if env, ok := s.onwardFrom(b); ok {
			word := "Promote to"
			if len(word)+1+len(env) > 20 {
				word = "Promote"
			}
			add(b.Run, Promote, word, env, fmt.Sprintf("Want %s in %s", b.Commit.Short(), env))
		}
	}
	for _, name := range names {
		p := s.Places[name]
		if p.Live == nil || p.Pull != 0 || p.Closing || p.Flight != nil || p.Waiting != nil && p.Waiting.Rollback {
			continue
		}
		if to, ok := p.before(); ok {
			add(p.Live.Run, Rollback, "Roll back", name, fmt.Sprintf("%s goes back to %s", name, to.Commit.Short()))
		}
	}
	return all
}

// before is the release that a place goes back to.
func (p Place) before() (Release, bool) {
	for _, r := range p.Past {
		if r.Digest != p.Live.Digest {
			return r, true
		}
	}
	return Release{}, false
}

// newest are the builds that a person may still want somewhere: those of the heads of open pull requests, and the newest
// one of a push.
func (s State) newest() (builds []Build) {
	heads := map[pipeline.Commit]bool{}
	for _, p := range s.Pulls {
		if p.Open {
			heads[p.Head] = true
		}
	}
	pushed := false
	for _, b := range s.Feeding() {
		head := heads[b.Commit]
		delete(heads, b.Commit) // an older build of the same head has no say
		if head || b.Kind == pipeline.Push && !pushed {
			builds = append(builds, b)
		}
		pushed = pushed || b.Kind == pipeline.Push
	}
	return builds
}

// onwardFrom is the first environment in promotion order that a build can go to when someone asks, and is not in or on
// its way to.
func (s State) onwardFrom(b Build) (string, bool) {
	for _, spec := range s.Definitions {
		digest, made := b.artifact(spec.Artifact)
		if !made || spec.On.PullRequest {
			continue
		}
		is := func(c pipeline.Commit, d pipeline.Digest) bool { return c == b.Commit && d == digest }
		if spec.After != "" {
			if live := s.Places[spec.After].Live; live == nil || !is(live.Commit, live.Digest) {
				continue
			}
		}
		p := s.Places[spec.Name]
		switch {
		case p.Live != nil && is(p.Live.Commit, p.Live.Digest) && p.Failed == "", p.Flight != nil && is(p.Flight.Commit, p.Flight.Digest),
			p.Waiting != nil && is(p.Waiting.Commit, p.Waiting.Digest):
			continue
		}
		return spec.Name, true
	}
	return "", false
}

// TellButtons owes a run the news which buttons its last check has.
type TellButtons struct {
	Run     pipeline.RunID
	Buttons []pipeline.Button
}

// Name of the effect. It holds the mark, so that newer news replaces older news that is still being patient.
func (e TellButtons) Name() string { return "buttons/" + string(e.Run) + "/" + e.Mark() }

// Mark changes exactly when the run should be told again.
func (e TellButtons) Mark() string {
	var ids []string
	for _, b := range e.Buttons {
		ids = append(ids, b.Identifier)
	}
	return strings.Join(ids, " ")
}

// Wait lets the changes of a moment become one edit.
func (TellButtons) Wait() time.Duration { return panelPatience }

// Lane lets the news of one run be told one at a time.
func (e TellButtons) Lane() string { return "buttons/" + string(e.Run) }

func (s State) owedButtons() (owed []Effect) {
	all := s.buttons()
	for _, id := range sortedKeys(s.Runs) {
		r := s.Runs[id]
		if tell := (TellButtons{Run: id, Buttons: all[id]}); tell.Mark() != r.Buttons && r.Conclusion != "" {
			owed = append(owed, tell)
		}
	}
	return owed
}

func (s State) buttonsSent(e ButtonsSent) State {
	if r, ok := s.Runs[e.Run]; ok {
		r.Buttons = e.Mark
		r.Offers++
		s.Runs = with(s.Runs, e.Run, r)
	}
	return s
}
