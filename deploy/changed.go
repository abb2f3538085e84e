package deploy

import (
	"fmt"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// RepoChanged says what became of the repository itself, or of the App in it. A repository is known by its number: what
// its event does not tell, its name for example, stays as it was.
type RepoChanged struct {
	Repo  pipeline.Repo `json:"repo"`
	What  string        `json:"what"`            // in words: "the repository was renamed"
	Shut  bool          `json:"shut,omitempty"`  // nothing is begun or told here from now on
	Ends  bool          `json:"ends,omitempty"`  // what is on its way ends, and what waits is void
	Opens bool          `json:"opens,omitempty"` // it is as before
	At    time.Time     `json:"at"`
}

// RunsTold says that the runs know of the repository's changes up to a number.
type RunsTold struct {
	Changes int `json:"changes"`
}

// Kind is how it is stored.
func (RepoChanged) Kind() string { return "repo_changed" }

// Kind is how it is stored.
func (RunsTold) Kind() string { return "runs_told" }

// TellRuns owes the runs the repository's new name or installation, or the news that GitHub can be told again.
type TellRuns struct{ Changes int }

// Name of the effect.
func (e TellRuns) Name() string { return fmt.Sprintf("runs/%d", e.Changes) }

// repoChanged takes it. News of an installation that the repository has left meanwhile count no more.
func (s State) repoChanged(e RepoChanged) State {
	if e.Shut && e.Repo.Installation != 0 && s.Repo.Installation != 0 && e.Repo.Installation != s.Repo.Installation {
		return s
	}
	s.Repo = s.Repo.Renamed(e.Repo)
	s.changedAt = e.At
	s.Changes++
	switch {
	case e.Opens:
		s.Shut = ""
	case e.Shut:
		s.Shut, s.shutAt = e.What, e.At
	}
	if !e.Ends {
		return s
	}
	for id, r := range s.Runs {
		if r.Conclusion == "" && !r.Stopped {
			r.Stop = e.What
			s.Runs = with(s.Runs, id, r)
		}
	}
	for name, p := range s.Places {
		if p.Waiting != nil {
			p.Waiting = nil
			s.Places = with(s.Places, name, p)
		}
	}
	s.Commands = nil // there is nowhere to answer them
	s.Asks = nil
	return s
}

// heardOf takes the repository as an event of a time names it. What has changed since is known better; what comes from
// it after it was shut says that it is open.
func (s State) heardOf(repo pipeline.Repo, at time.Time) State {
	if s.Repo.ID == 0 || !at.Before(s.changedAt) {
		s.Repo = repo
	}
	if s.Shut != "" && at.After(s.shutAt) {
		s.Shut = ""
	}
	return s
}
