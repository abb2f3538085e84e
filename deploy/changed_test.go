package deploy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

var (
	noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	shop = pipeline.Repo{ID: 7, Owner: "octo", Name: "shop", Installation: 1, Branch: "main"}
)

// working is a repository with a run, a promotion that waits, and a command that is not answered.
func working() State {
	commit := pipeline.Commit(strings.Repeat("a1", 20))
	s := Apply(State{}, Defined{Repo: shop, Commit: commit, Pushed: true, Environments: []pipeline.Environment{{Name: "staging"}}})
	s = Apply(s, PullSeen{Number: 1, Open: true, Head: commit, Base: "main", Updated: noon})
	s = Apply(s, RunBegan{Run: "run/7/a", Trigger: pipeline.Trigger{Repo: shop, Commit: commit, At: noon}})
	s = Apply(s, Commanded{Repo: shop, Command: Command{ID: "c", Pull: 1, Verb: Help, At: noon}})
	s.Places = map[string]Place{"staging": {Name: "staging", Waiting: &Promotion{ID: "staging#1", Commit: commit}}}
	return s
}

func owes(s State) string {
	var names []string
	for _, e := range Next(s) {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestARepositoryThatIsGoneEndsItsRunsAndOwesGitHubNothing(t *testing.T) {
	t.Parallel()
	s := Apply(working(), RepoChanged{Repo: shop, What: "the App was uninstalled", Shut: true, Ends: true, At: noon.Add(time.Minute)})
	if got := owes(s); got != "stop/run/7/a" {
		t.Errorf("it owes %q", got)
	}
	if r := s.Runs["run/7/a"]; r.Stop != "the App was uninstalled" {
		t.Errorf("the run is stopped because %q", r.Stop)
	}
	s = Apply(s, CancelSent{Run: "run/7/a"})
	s = Apply(s, RunEnded{Run: "run/7/a", Conclusion: pipeline.WasCancelled})
	if got := owes(s); got != "" {
		t.Errorf("afterwards it owes %q", got)
	}
	late := Apply(s, RunBegan{Run: "run/7/b", Trigger: pipeline.Trigger{Repo: shop, At: noon}})
	if got := owes(late); got != "stop/run/7/b" {
		t.Errorf("with a run that came late it owes %q", got)
	}
}

func TestASuspendedRepositoryGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	before := owes(working())
	s := Apply(working(), RepoChanged{Repo: shop, What: "the App was suspended", Shut: true, At: noon.Add(time.Minute)})
	if got := owes(s); got != "" {
		t.Errorf("suspended it owes %q", got)
	}
	if started := Apply(s, DeployStarted{Deployment: "staging#1", Environment: "staging", Commit: s.Places["staging"].Waiting.Commit, At: noon}); started.Places["staging"].Flight != nil {
		t.Error("a deployment began while the App was suspended")
	}
	s = Apply(s, RepoChanged{Repo: pipeline.Repo{ID: 7, Installation: 1}, What: "the App is not suspended any more", Opens: true, At: noon.Add(time.Hour)})
	if got := owes(s); !strings.Contains(got, "runs/2") || strings.Replace(got, "runs/2 ", "", 1) != before {
		t.Errorf("it owes %q, and before it was %q", got, before)
	}
	if s = Apply(s, RunsTold{Changes: 2}); owes(s) != before {
		t.Errorf("it owes %q", owes(s))
	}
}

func TestWhatComesFromASuspendedRepositorySaysThatItIsOpen(t *testing.T) {
	t.Parallel()
	s := Apply(working(), RepoChanged{Repo: shop, What: "the App was suspended", Shut: true, At: noon.Add(time.Minute)})
	s = Apply(s, RunBegan{Run: "run/7/b", Trigger: pipeline.Trigger{Repo: shop, At: noon.Add(2 * time.Minute)}})
	if s.Shut != "" || s.Runs["run/7/b"].Stop != "" {
		t.Errorf("it is shut because %q, and its run is stopped because %q", s.Shut, s.Runs["run/7/b"].Stop)
	}
}

func TestANewNameOrInstallationStays(t *testing.T) {
	t.Parallel()
	moved := shop
	moved.Owner, moved.Name, moved.Installation = "acme", "store", 2
	s := Apply(working(), RepoChanged{Repo: moved, What: "the repository was transferred", Opens: true, At: noon.Add(time.Hour)})
	for what, e := range map[string]Event{
		"a late push":               RunBegan{Run: "run/7/b", Trigger: pipeline.Trigger{Repo: shop, At: noon}},
		"a late command":            Commanded{Repo: shop, Command: Command{ID: "d", Pull: 1, At: noon}},
		"the old installation":      RepoChanged{Repo: shop, What: "the repository was taken away", Shut: true, Ends: true, At: noon.Add(2 * time.Hour)},
		"a definition":              Defined{Repo: shop, Pushed: true},
		"another repository":        RepoChanged{Repo: pipeline.Repo{ID: 8, Owner: "x", Name: "y", Installation: 2}, What: "renamed", At: noon},
		"permissions, without name": RepoChanged{Repo: pipeline.Repo{ID: 7, Installation: 2}, What: "permissions", At: noon.Add(time.Hour)},
	} {
		if after := Apply(s, e); after.Repo != moved || after.Shut != "" {
			t.Errorf("after %s it is %s, shut because %q", what, fmt.Sprint(after.Repo), after.Shut)
		}
	}
}
