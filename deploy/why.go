package deploy

import (
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// why explains an environment. What it cannot explain by itself, steps and stages, is asked of the run.
func (s State) why(p Pending, who RoleKnown) Ruling {
	c := p.Command
	if !who.Role.AtLeast(pipeline.Read) {
		return refuse("`/why` needs the role read in this repository; @%s has %s.", c.Actor.Login, roleWord(who.Role))
	}
	base, _, _ := strings.Cut(c.Word, "/")
	if _, ok := s.spec(base); !ok {
		return Ruling{Forward: true}
	}
	c.Environment = c.Word
	_, name, no := s.environment(c)
	if no != nil {
		return *no
	}
	return Ruling{Say: s.WhyPlace(name, who.At).Markdown()}
}

// WhyPlace says what an environment runs, what waits there, and everything that is missing.
func (s State) WhyPlace(name string, now time.Time) pipeline.Reason {
	p := s.Places[name]
	base, _, _ := strings.Cut(name, "/")
	spec, _ := s.spec(base)
	switch {
	case p.Flight != nil:
		return pipeline.Reason{Say: fmt.Sprintf("`%s` is being given %s (`%s`): %s", name, p.Flight.Commit.Short(), p.Flight.Digest.Short(), p.Flight.Why)}
	case p.Waiting != nil:
		w := p.Waiting
		missing := s.missing(p, now)
		if len(missing) == 0 {
			return pipeline.Reason{Say: fmt.Sprintf("%s (`%s`) enters `%s` next", w.Commit.Short(), w.Digest.Short(), name)}
		}
		return pipeline.Reason{Say: fmt.Sprintf("%s (`%s`) waits for `%s`: %s", w.Commit.Short(), w.Digest.Short(), name, w.Why), Because: missing}
	}
	r := pipeline.Reason{Say: fmt.Sprintf("nothing waits for `%s`, and it runs nothing", name)}
	if p.Live != nil {
		r.Say = fmt.Sprintf("nothing waits for `%s`; it runs %s (`%s`) since %s", name, p.Live.Commit.Short(), p.Live.Digest.Short(), clock(p.Live.At))
	}
	if p.Failed != "" {
		r.Because = append(r.Because, pipeline.Reason{Say: "the last deployment failed: " + quote(p.Failed)}, pipeline.Reason{Say: fmt.Sprintf("it is not tried again by itself: type `/deploy %s@SHA`, or push a newer commit", name)})
	}
	if p.Rejected != nil {
		r.Because = append(r.Because, pipeline.Reason{Say: fmt.Sprintf("%s (`%s`) was rejected %s", p.Rejected.Commit.Short(), p.Rejected.Digest.Short(), p.Rejected.words())})
	}
	if p.Stopped != "" {
		r.Because = append(r.Because, pipeline.Reason{Say: fmt.Sprintf("it was stopped by a person; `/deploy %s` or the next push brings it back", base)})
	}
	p.Name, p.Spec = name, spec // of a place where nothing has been yet, too
	for _, word := range s.holds(p, now) {
		r.Because = append(r.Because, pipeline.Reason{Say: "it is " + word})
	}
	switch {
	case spec.After != "" && s.Places[spec.After].Live == nil:
		r.Because = append(r.Because, pipeline.Reason{Say: fmt.Sprintf("it is offered what `%s` runs", spec.After), Because: []pipeline.Reason{s.WhyPlace(spec.After, now)}})
	case p.Live == nil && spec.On.Branch != "":
		r.Because = append(r.Because, pipeline.Reason{Say: fmt.Sprintf("it is offered what a successful run of `%s` makes as the artifact `%s`", spec.On.Branch, spec.Artifact)})
	}
	return r
}

// missing is everything that keeps what waits from entering, not only the first of it.
func (s State) missing(p Place, now time.Time) (why []pipeline.Reason) {
	w := p.Waiting
	if !w.Rollback {
		for _, held := range s.holds(p, now) {
			why = append(why, pipeline.Reason{Say: fmt.Sprintf("`%s` is %s", p.Name, held)})
		}
	}
	if after := p.Spec.After; after != "" && !w.Rollback {
		if live := s.Places[after].Live; live == nil || live.Commit != w.Commit || live.Digest != w.Digest {
			why = append(why, pipeline.Reason{Say: fmt.Sprintf("`%s` does not run it", after), Because: []pipeline.Reason{s.WhyPlace(after, now)}})
		}
	}
	alone := s // the rest of the gate, asked by itself
	alone.Locks, alone.Freezes, p.Spec.After = nil, nil, ""
	if gate := alone.Gate(p, now); !gate.Open {
		why = append(why, pipeline.Reason{Say: fmt.Sprintf("it has %s: type `/approve %s@%s`", gate.Missing, p.Name, w.Commit.Short())})
	}
	if w.Voided != "" {
		why = append(why, pipeline.Reason{Say: w.Voided})
	}
	if len(why) == 0 && w.Held != "" {
		why = append(why, pipeline.Reason{Say: "when its turn came it could not start: " + quote(w.Held)})
	}
	if len(why) == 0 && w.Delayed != "" {
		why = append(why, pipeline.Reason{Say: "it is tried again and again: " + w.Delayed})
	}
	if len(why) == 0 && p.Flight != nil {
		why = append(why, pipeline.Reason{Say: fmt.Sprintf("%s is still on its way there", p.Flight.Commit.Short())})
	}
	return why
}
