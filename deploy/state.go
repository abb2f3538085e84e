package deploy

import (
	"sort"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// How much of the past a state keeps. What the state forgets is still in the journal.
const (
	keepReleases = 20
	keepBuilds   = 50
	keepPulls    = 200
)

// State is all that is known and owed of one repository's pull requests, environments and commands.
type State struct {
	Repo        pipeline.Repo
	Definitions []pipeline.Environment // of the default branch, in promotion order
	Plan        string                 // hash of the plan that defines them
	Feeds       string                 // the pipeline that declares them, and the only one that feeds them
	Pipelines   []string               // the default branch's, as far as they could be read
	DefinedAt   pipeline.Commit        // the default branch's commit that the environments were read at
	ScheduledAt pipeline.Commit        // and the schedules
	pushed      bool                   // they come from a push to the default branch
	Places      map[string]Place       // by name: "staging", "preview/pr-12"
	Pulls       map[int]Pull
	Runs        map[pipeline.RunID]Run
	Builds      []Build                     // newest first
	Commands    map[string]Pending          // until answered
	Asks        map[string]Asked            // of the operator, by delivery, until done
	Spoken      map[int64]Spoken            // who has commanded lately, by number
	Voided      []int64                     // the newest comments whose approvals count no more
	Locks       map[string]Lock             // by environment
	Freezes     map[string]Freeze           // by environment; "" is all of them
	Pictures    map[string]Picture          // deployments that GitHub shows, by our name
	Gone        []pipeline.Commit           // the newest merge groups that were taken apart
	times       map[pipeline.Time]time.Time // the default branch's schedule, and when each comes next; zero when nobody has looked
	began       int                         // runs so far, to put them in order
	Shut        string                      // why nothing is begun or told here; empty when it is
	Changes     int                         // of the repository itself, so far
	ChangesTold int                         // how many of them the runs know
	shutAt      time.Time
	changedAt   time.Time
}

// Pull is a pull request as last seen.
type Pull struct {
	PullSeen
	Panel     int64 // GitHub's id of our comment
	PanelMark string
	Opening   bool                      // a create was begun and its answer is not known
	LastRuns  map[string]pipeline.RunID // the newest run of the head, by pipeline
	FirstSeen time.Time
	Heads     []Head            // newest last; see head.go
	Shown     []pipeline.Commit // all heads that were ever told of, in any order, at most keepShown
	Allowed   *Allowed          // the last commit of it that a writer has let be tested
}

// Run is a run as far as environments and panels care.
type Run struct {
	ID         pipeline.RunID
	Pipeline   string
	Trigger    pipeline.Trigger
	Trust      pipeline.Trust
	Into       pipeline.Commit     // the base, when what it tests is its commit merged into the base
	Only       string              // the stage that it ends with; empty for a whole run
	Skipped    bool                // a filter of the plan keeps it from running
	Tree, Plan string              // what it tests, and by what
	At         time.Time           // when it began
	Buttons    string              // the mark of those that it was told of
	Offers     int                 // how often it was told
	Conclusion pipeline.Conclusion // empty while it runs
	Stop       string              // why it should be cancelled, until it has been told
	Stopped    bool                // it has been told
	turn
}

// Build is what a successful run made of a commit.
type Build struct {
	Run       pipeline.RunID
	Pipeline  string
	Commit    pipeline.Commit
	Branch    string
	Kind      pipeline.TriggerKind
	Trust     pipeline.Trust
	Actor     pipeline.Actor
	Before    pipeline.Commit // what the branch held before
	At        time.Time       // GitHub's time of the push, or of the pull request's change
	Artifacts []pipeline.Artifact
}

// Place is one environment, with what it runs and what it waits for.
type Place struct {
	Name    string
	Spec    pipeline.Environment
	Pull    int        // of a preview
	Live    *Release   // what it runs
	Past    []Release  // what it ran, newest first; Live is not among them
	Flight  *Promotion // the one deployment on its way
	Waiting *Promotion // the one promotion that waits: for its gate, or for the flight to end
	Closing bool       // it is to be taken down
	Count   int        // deployments so far, to name the next one
	Failed  string     // why the last deployment failed; empty after a good one

	Rejected *Rejection      // who sent away what waited last
	Stopped  pipeline.Commit // of a preview: the head for which a person took it down
	Keep     time.Time       // of a preview: it is kept at least until then
}

// Release is an artifact that was put in place for good.
type Release struct {
	Deployment string
	Commit     pipeline.Commit
	Digest     pipeline.Digest
	Run        pipeline.RunID
	URL        string
	At         time.Time
}

// Promotion is an artifact wanted in an environment.
type Promotion struct {
	ID        string // the name of the deployment that it becomes: "production#3"
	Commit    pipeline.Commit
	Digest    pipeline.Digest
	Run       pipeline.RunID
	Pull      int    // it is bound to this pull request's head; 0 when it is not
	Rollback  bool   // back to a release of before
	Why       string // in words: "staging runs it", "@x asked"
	Approvals []Approval
	Void      []Void // approvals that were given and do not count any more
	Card      *Card  // what ships, once it was found out; while it waits
	CardHash  string
	Same      []string // cards that said the same, and showed a lock that has ended since
	Held      string   // why it could not start when its turn came
	Delayed   string   // why it has not started, although its gate is open; it is tried again
	Voided    string   // whose approval counts no more, and why, in words
	Started   time.Time
	Settled   *Release // of a rollback: the release it goes back to
}

// Pending is a command on its way to its answer.
type Pending struct {
	Command Command
	Commit  pipeline.Commit // what it speaks of; decided once, at receipt
	Role    *RoleKnown
	Acked   bool
	Say     string // the answer, in words, once decided
	Refused bool
	Decided bool
	Passed  bool // it asks something of runs and has been forwarded
}

// Picture is a deployment as GitHub should show it.
type Picture struct {
	Deployment  string
	Environment string
	Commit      pipeline.Commit
	Digest      pipeline.Digest
	Run         pipeline.RunID
	Preview     bool
	State       string // in_progress, success, failure, inactive
	Description string
	URL         string
	ID          int64 // GitHub's
	Opening     bool
	Told        string
}

// spec finds an environment's definition.
func (s State) spec(name string) (pipeline.Environment, bool) {
	for _, e := range s.Definitions {
		if e.Name == name {
			return e, true
		}
	}
	return pipeline.Environment{}, false
}

// Feeding are the builds that may go to environments: those of the pipeline that declares them, the newest first.
func (s State) Feeding() (builds []Build) {
	for _, b := range s.Builds {
		if b.Pipeline == s.Feeds {
			builds = append(builds, b)
		}
	}
	return builds
}

// build finds the newest build of a commit.
func (s State) build(c pipeline.Commit) (Build, bool) {
	for _, b := range s.Builds {
		if b.Commit == c && b.Pipeline == s.Feeds {
			return b, true
		}
	}
	return Build{}, false
}

// artifact is the digest of a build's artifact by name.
func (b Build) artifact(name string) (pipeline.Digest, bool) {
	for _, a := range b.Artifacts {
		if a.Name == name {
			return a.Digest, true
		}
	}
	return "", false
}

// Author is who wrote a commit's change, as far as GitHub says: the pull request's author, else who pushed it.
func (s State) Author(c pipeline.Commit) pipeline.Actor {
	for _, n := range s.pullNumbers() {
		if p := s.Pulls[n]; p.MergeCommit == c || p.Head == c {
			return p.Author
		}
	}
	b, _ := s.build(c)
	return b.Actor
}

func (s State) pullNumbers() []int {
	numbers := make([]int, 0, len(s.Pulls))
	for n := range s.Pulls {
		numbers = append(numbers, n)
	}
	sort.Ints(numbers)
	return numbers
}

// PlaceNames are the places in promotion order, previews last, by number.
func (s State) PlaceNames() (names []string) {
	for _, d := range s.Definitions {
		if _, ok := s.Places[d.Name]; ok {
			names = append(names, d.Name)
		}
	}
	listed := map[string]bool{}
	for _, n := range names {
		listed[n] = true
	}
	var rest []Place
	for _, p := range s.Places {
		if !listed[p.Name] {
			rest = append(rest, p)
		}
	}
	sort.Slice(rest, func(i, j int) bool {
		if rest[i].Pull != rest[j].Pull {
			return rest[i].Pull < rest[j].Pull
		}
		return rest[i].Name < rest[j].Name
	})
	for _, p := range rest {
		names = append(names, p.Name)
	}
	return names
}

// with returns a copy of m in which k holds v. States share their maps, so a map is never changed in place.
func with[K comparable, V any](m map[K]V, k K, v V) map[K]V {
	c := make(map[K]V, len(m)+1)
	for key, value := range m {
		c[key] = value
	}
	c[k] = v
	return c
}

// without returns a copy of m that does not hold k.
func without[K comparable, V any](m map[K]V, k K) map[K]V {
	c := make(map[K]V, len(m))
	for key, value := range m {
		if key != k {
			c[key] = value
		}
	}
	return c
}
