package deploy

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Effect is something the repository still owes the world. Its name is its identity: as long as Next returns it, it is
// owed once, however often Next is asked.
type Effect interface{ Name() string }

// LookupPull owes the state of a pull request that a command speaks of and no webhook has told.
type LookupPull struct{ Number int }

// Acknowledge owes the one who commands a sign that the command was heard.
type Acknowledge struct{ Command string }

// LookupRole owes the answer to what the one who commands may do.
type LookupRole struct{ Command string }

// Forward owes the runs what a command asks of them, or an answer that has to be looked up.
type Forward struct{ Command string }

// Answer owes the one who commands the ruling.
type Answer struct{ Command string }

// StopRun owes a run the news that it is not wanted any more.
type StopRun struct {
	Run    pipeline.RunID
	Reason string
}

// DrawCard owes those who may approve what waits a look at what ships. Its name holds what it is compared with.
type DrawCard struct{ Environment, Promotion, With string }

// Deploy owes an environment its deployment.
type Deploy struct {
	Environment string
	Deployment  string
}

// Remove owes the world the end of an environment.
type Remove struct{ Environment string }

// Alarm owes the stream an event at a time. Nothing else knows the clock.
type Alarm struct {
	Environment string
	At          time.Time
}

// TellDeployment owes GitHub the newest picture of a deployment.
type TellDeployment struct{ Deployment, State string }

// TellPanel owes a pull request the newest picture of where its change stands.
type TellPanel struct {
	Pull     int
	Mark     string
	Patience time.Duration // the news may wait this long for newer news to take its place
}

// Name of the effect.
func (e LookupPull) Name() string { return fmt.Sprintf("pull/%d", e.Number) }

// Name of the effect.
func (e Acknowledge) Name() string { return "ack/" + e.Command }

// Name of the effect.
func (e LookupRole) Name() string { return "role/" + e.Command }

// Name of the effect.
func (e Forward) Name() string { return "forward/" + e.Command }

// Name of the effect.
func (e Answer) Name() string { return "answer/" + e.Command }

// Name of the effect.
func (e StopRun) Name() string { return "stop/" + string(e.Run) }

// Name of the effect.
func (e DrawCard) Name() string { return "card/" + e.Promotion + "/" + e.With }

// Name of the effect.
func (e Deploy) Name() string { return "deploy/" + e.Deployment }

// Name of the effect.
func (e Remove) Name() string { return "remove/" + e.Environment }

// Name of the effect.
func (e Alarm) Name() string {
	return "alarm/" + e.Environment + "/" + e.At.UTC().Format(time.RFC3339Nano)
}

// Due is when the effect is owed, and not before.
func (e Alarm) Due() time.Time { return e.At }

// Name of the effect. It holds the state, so that newer news replaces older news.
func (e TellDeployment) Name() string { return "tell/" + e.Deployment + "/" + e.State }

// Name of the effect. It holds the mark, so that newer news replaces older news that is still being patient.
func (e TellPanel) Name() string { return fmt.Sprintf("panel/%d/%s", e.Pull, e.Mark) }

// Next is what the repository still owes; nothing means that it is at rest, done or waiting for a person. Of a repository
// that is shut nothing is told, and what would be told waits until it is open again.
func Next(s State) (owed []Effect) {
	if s.Shut != "" {
		return append(s.owedToRuns(), s.owedToPlaces()...)
	}
	owed = append(owed, s.owedToPeople()...)
	owed = append(owed, s.owedToRuns()...)
	owed = append(owed, s.owedToPlaces()...)
	owed = append(owed, s.owedToHolds()...)
	return append(owed, s.owedToGitHub()...)
}

func (s State) owedToPeople() (owed []Effect) {
	for _, id := range sortedKeys(s.Commands) {
		p := s.Commands[id]
		silent := p.Command.Verb == Unknown || p.Command.AtCheck() // there is nothing to react to
		if !p.Acked && !silent {
			owed = append(owed, Acknowledge{id})
		}
		_, known := s.Pulls[p.Command.Pull]
		known = known || p.Command.Pull == 0 && p.Command.AtCheck()
		switch {
		case !known:
			owed = append(owed, LookupPull{p.Command.Pull})
		case !p.Decided && s.cardComes(p.Command): // nobody decides about what they could not see
		case !p.Decided:
			owed = append(owed, LookupRole{id})
		case !p.Passed:
			owed = append(owed, Forward{id})
		case p.Acked || silent:
			owed = append(owed, Answer{id})
		}
	}
	return owed
}

func (s State) owedToRuns() (owed []Effect) {
	for _, id := range sortedKeys(s.Runs) {
		if r := s.Runs[id]; r.Stop != "" && r.Conclusion == "" {
			owed = append(owed, StopRun{id, r.Stop})
		} else if r.holds > r.told {
			owed = append(owed, Admit{id, r.holds - 1})
		}
	}
	owed = append(owed, s.owedTimes()...)
	owed = append(owed, s.owedAsks()...)
	if s.Shut == "" && s.ChangesTold < s.Changes {
		owed = append(owed, TellRuns{s.Changes})
	}
	return append(owed, s.owedButtons()...)
}

func (s State) owedToPlaces() (owed []Effect) {
	for _, name := range sortedKeys(s.Places) {
		p := s.Places[name]
		card := s.OwesCard(p)
		if card {
			owed = append(owed, DrawCard{name, p.Waiting.ID, s.comparedWith(p)})
		}
		switch {
		case p.Flight != nil:
			owed = append(owed, Deploy{name, p.Flight.ID})
		case p.Closing && (p.Live != nil || p.Count > 0 && p.Failed != ""):
			owed = append(owed, Remove{name})
		case p.Waiting != nil && !p.Closing && s.Shut == "" && p.Waiting.Held == "" && !card && s.mayOpen(p):
			owed = append(owed, Deploy{name, p.Waiting.ID})
		}
		if at := p.wait(); !at.IsZero() && !p.Closing {
			owed = append(owed, Alarm{name, at})
		}
	}
	return owed
}

// mayOpen asks the gate at the moment of the newest approval: whether it has run out since is checked again, with the
// clock, when the deployment starts.
func (s State) mayOpen(p Place) bool {
	var at time.Time
	for _, a := range p.Waiting.Approvals {
		if a.At.After(at) {
			at = a.At
		}
	}
	return s.Gate(p, at).Open
}

// wait is the time at which a place's expiry is due, zero when it has none.
func (p Place) wait() time.Time {
	if p.Live == nil || p.Spec.Expires <= 0 || p.Pull == 0 {
		return time.Time{}
	}
	if at := p.Live.At.Add(p.Spec.Expires.Std()); at.After(p.Keep) {
		return at
	}
	return p.Keep
}

func (s State) owedToGitHub() (owed []Effect) {
	unheard := s.unheard()
	for _, id := range sortedKeys(s.Pictures) {
		p := s.Pictures[id]
		if p.State != p.Told && (p.Told != "" || unheard[p.Environment] == numberOf(id)) {
			owed = append(owed, TellDeployment{id, p.State})
		}
	}
	for _, n := range s.pullNumbers() {
		p := s.Pulls[n]
		mark := s.Panel(n).Mark()
		if mark == "" || mark == p.PanelMark {
			continue
		}
		owed = append(owed, TellPanel{Pull: n, Mark: mark, Patience: panelPatience})
	}
	return owed
}

// unheard is, by place, the oldest deployment that GitHub has never heard of. GitHub takes the one that it heard of last for
// what is there, so they are told of in order.
func (s State) unheard() map[string]int {
	oldest := map[string]int{}
	for id, p := range s.Pictures {
		n := numberOf(id)
		if at, there := oldest[p.Environment]; p.Told == "" && p.State != "" && (!there || n < at) {
			oldest[p.Environment] = n
		}
	}
	return oldest
}

// numberOf is the number in a deployment's name: 2 of "staging#2".
func numberOf(deployment string) int {
	n, _ := strconv.Atoi(deployment[strings.LastIndexByte(deployment, '#')+1:])
	return n
}

// panelPatience lets the changes of a moment become one edit.
const panelPatience = 700 * time.Millisecond

func sortedKeys[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i] < keys[j] })
	return keys
}

// Wait is how long the news may wait for newer news.
func (e TellPanel) Wait() time.Duration { return e.Patience }

// Lane lets the news of one deployment be told one at a time.
func (e TellDeployment) Lane() string { return "tell/" + e.Deployment }

// Lane lets the news of one pull request be told one at a time.
func (e TellPanel) Lane() string { return fmt.Sprintf("panel/%d", e.Pull) }
