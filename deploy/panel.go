package deploy

import (
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Panel is where a pull request's change stands: what its one living comment shows. It is a projection of the state.
type Panel struct {
	Pull   int
	Commit pipeline.Commit // the head, or the merge commit once merged
	Merged bool
	Runs   []Run // the newest run of that commit, of each pipeline
	Rows   []PanelRow
}

// PanelRow is one environment.
type PanelRow struct {
	Environment string
	State       string // "live", "deploying", "waiting", "failed", "removed", "replaced"
	Detail      string // in words, for people
	URL         string
	Digest      pipeline.Digest
	At          time.Time
	Ships       *Shipping // while it waits for people
}

// Shipping is what people see before they approve.
type Shipping struct {
	Card
	Who    string   // who may approve it, in words
	Last   *Release // what the environment runs now
	Failed string   // why the last deployment failed, if it did
}

// Panel projects one pull request. An empty panel is not shown.
func (s State) Panel(number int) Panel {
	pull, ok := s.Pulls[number]
	if !ok {
		return Panel{}
	}
	panel := Panel{Pull: number, Commit: pull.Head, Merged: pull.Merged}
	if pull.Merged && pull.MergeCommit != "" {
		panel.Commit = pull.MergeCommit
	}
	first := map[string]Run{}
	for _, id := range sortedKeys(s.Runs) {
		r := s.Runs[id]
		if _, there := first[r.Pipeline]; r.Trigger.Commit == panel.Commit && r.Only == "" && !r.byHand() && (!there || id == pull.LastRuns[r.Pipeline]) {
			first[r.Pipeline] = r
		}
	}
	panel.Runs = byPipeline(first)
	for _, name := range s.PlaceNames() {
		if row, ok := s.panelRow(s.Places[name], pull, panel.Commit); ok {
			panel.Rows = append(panel.Rows, row)
		}
	}
	return panel
}

// panelRow tells of a place what concerns the commit.
func (s State) panelRow(p Place, pull Pull, c pipeline.Commit) (PanelRow, bool) {
	row := PanelRow{Environment: p.Name}
	if p.Pull != 0 && p.Pull != pull.Number {
		return row, false
	}
	switch {
	case p.Flight != nil && p.Flight.Commit == c:
		row.State, row.Detail, row.Digest, row.At = "deploying", p.Flight.Why, p.Flight.Digest, p.Flight.Started
	case p.Waiting != nil && p.Waiting.Commit == c:
		row.State, row.Digest = "waiting", p.Waiting.Digest
		row.Detail = p.Waiting.Held
		if held := s.held(p, time.Time{}); held != "" {
			row.Detail = held
		}
		if p.Waiting.Card != nil && p.Spec.Approve != nil {
			row.Ships = &Shipping{*p.Waiting.Card, whom(*p.Spec.Approve), p.Live, p.Failed}
		}
		if row.Detail == "" && p.Spec.Approve != nil {
			row.Detail = s.needs(p)
		}
		if p.Waiting.Delayed != "" {
			row.Detail = strings.TrimPrefix(row.Detail+"; "+p.Waiting.Delayed, "; ")
		}
		if p.Waiting.Voided != "" {
			row.Detail += "; " + p.Waiting.Voided
		}
	case p.Rejected != nil && p.Rejected.Commit == c && p.Waiting == nil:
		row.State, row.Digest, row.At, row.Detail = "rejected", p.Rejected.Digest, p.Rejected.At, p.Rejected.words()
	case p.Live != nil && p.Live.Commit == c && !p.Closing:
		row.State, row.URL, row.Digest, row.At = "live", p.Live.URL, p.Live.Digest, p.Live.At
		row.Detail = p.Failed
	case p.Failed != "" && p.Pull == pull.Number && p.Pull != 0:
		row.State, row.Detail = "failed", p.Failed
	case p.Pull == pull.Number && p.Pull != 0 && p.Live == nil && p.Count > 0:
		row.State = "removed"
		if p.Stopped == c {
			row.Detail = fmt.Sprintf("stopped; `/deploy %s` brings it back", p.Spec.Name)
		}
	case ran(p, c):
		row.State, row.Detail = "replaced", "runs "+p.Live.Commit.Short()+" now"
	default:
		return row, false
	}
	return row, true
}

// needs says what a promotion waits for. Whether an approval has run out is asked with the clock when the deployment
// starts; here all count.
func (s State) needs(p Place) string {
	gate := s.Gate(p, time.Time{})
	switch {
	case gate.Open:
		return "approved"
	case gate.Need == 0:
		return gate.Missing
	}
	return fmt.Sprintf("%s: comment `/approve %s@%s`", gate.Missing, p.Name, p.Waiting.Commit.Short())
}

func ran(p Place, c pipeline.Commit) bool {
	for _, r := range p.Past {
		if r.Commit == c {
			return p.Live != nil
		}
	}
	return false
}

// Mark changes exactly when the comment should be edited. It is empty when there is nothing to show yet.
func (p Panel) Mark() string {
	if len(p.Runs) == 0 && len(p.Rows) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s", p.Commit.Short())
	for _, r := range p.Runs {
		fmt.Fprintf(&b, " %s=%s", r.ID, r.Conclusion)
	}
	for _, r := range p.Rows {
		fmt.Fprintf(&b, " %s=%s/%s/%s", r.Environment, r.State, r.Digest.Short(), r.Detail)
		if r.Ships != nil {
			fmt.Fprintf(&b, "/%.12s", r.Ships.Hash())
		}
	}
	return b.String()
}

// Standing is where a commit stands in each environment, in promotion order.
func (s State) Standing(c pipeline.Commit) (rows []PanelRow) {
	var pull Pull
	for _, n := range s.pullNumbers() {
		if p := s.Pulls[n]; p.Head == c || p.MergeCommit == c {
			pull = p
		}
	}
	for _, name := range s.PlaceNames() {
		if row, ok := s.panelRow(s.Places[name], pull, c); ok {
			rows = append(rows, row)
		}
	}
	return rows
}
