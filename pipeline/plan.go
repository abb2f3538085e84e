package pipeline

import (
	"fmt"
	"time"
)

// Where a repository keeps its pipelines: one in a file of its own, and others in the files of a folder.
const (
	PlanPath   = ".github/conveyor.yml"
	PlanFolder = ".github/conveyor"
)

// DefaultPipeline is what the pipeline of PlanPath is called, where a word is needed.
const DefaultPipeline = "conveyor"

// Plan is the pipeline file as it stood at one commit.
type Plan struct {
	// Which of the repository's pipelines it is, and its file. Both are empty for the one of PlanPath, which was the only
	// one once: so a plan of an earlier version is that one's.
	Name string `json:"name,omitempty"`
	File string `json:"file,omitempty"`

	Version      int           `json:"version"`
	On           On            `json:"on"`
	Concurrency  Concurrency   `json:"concurrency,omitempty"`
	Stages       []Stage       `json:"stages"`
	Timeout      Duration      `json:"timeout,omitempty"`      // of a whole run, from its first step on; 0 stands for DefaultTimeout
	Environments []Environment `json:"environments,omitempty"` // in promotion order, as written
	Source       SourceSpec    `json:"source,omitzero"`
	Uses         []string      `json:"uses,omitempty"` // the files whose stages it has, from the top of the repository
}

// Concurrency says what becomes of several runs of one branch or pull request. The words mean what they mean in AWS
// CodePipeline. The zero value is Parallel.
type Concurrency string

// The modes.
const (
	Parallel  Concurrency = "parallel"  // each run for itself
	Queue     Concurrency = "queue"     // a stage holds one run; the others wait in the order of their start
	Supersede Concurrency = "supersede" // a stage holds one run; of those that wait for it, the newest takes the others' place
)

// Gates reports whether a run waits for its turn before each stage.
func (c Concurrency) Gates() bool { return c == Queue || c == Supersede }

// On says which events start a run. A nil filter means that this kind of event starts none.
type On struct {
	Push        *Filter `json:"push,omitempty"`
	PullRequest *Filter `json:"pull_request,omitempty"`
	Schedule    []Time  `json:"schedule,omitempty"`
	MergeGroup  *Filter `json:"merge_group,omitempty"` // nil: as for a pull request into its base, or a push to it
	Manual      *Manual `json:"manual,omitempty"`      // a person may start it
}

// Time is when runs of the default branch start by themselves.
type Time struct {
	Cron string `json:"cron"`           // five fields, as crontab has them
	Zone string `json:"zone,omitempty"` // the name of a time zone; empty for UTC

	Pipeline string `json:"pipeline,omitempty"` // in a repository's stream: whose schedule it is
}

// Filter narrows events down. An empty list lets everything pass.
type Filter struct {
	Branches []string `json:"branches,omitempty"` // globs: the pushed branch, or the base of the pull request or merge group
	Without  []string `json:"branches_ignore,omitempty"`
	Paths    []string `json:"paths,omitempty"`        // globs: some changed file must be among them
	Ignore   []string `json:"paths_ignore,omitempty"` // globs: some changed file must not be among them
	// Of pull requests: the stages that also run the code of people who may not write, before anyone has allowed it. It
	// only ever counts in the plan of the base branch.
	Outside []string `json:"outside,omitempty"`
}

// Stage is a group of steps that may run together. Stages run in the order in which they are written.
type Stage struct {
	Name  string `json:"name"`
	Steps []Step `json:"steps"`
}

// Step is one command list in one sandbox, in a fresh copy of the source.
type Step struct {
	Name     string            `json:"name"`
	Of       string            `json:"of,omitempty"`    // the name in the file, when a matrix makes several steps of it
	Image    string            `json:"image,omitempty"` // whose file system it sees; empty for the tools of the host
	Root     bool              `json:"root,omitempty"`  // it runs as root of its own box, and may change the image's files there
	Run      string            `json:"run"`
	Env      map[string]string `json:"env,omitempty"`   // the file's, the stage's and the step's own
	Take     map[string]Output `json:"take,omitempty"`  // variables whose values other steps put out
	Dir      string            `json:"dir,omitempty"`   // the working directory, below the top of the workspace
	Shell    []string          `json:"shell,omitempty"` // what runs the script; empty for the sandbox's own
	Timeout  Duration          `json:"timeout"`         // of one attempt; always set: the parser fills in the default
	Needs    []string          `json:"needs,omitempty"` // the steps that must have passed; empty stands for all stages before
	AtOnce   bool              `json:"at_once,omitempty"`
	If       string            `json:"if,omitempty"`            // a condition: see the planfile package, which compiles it
	After    bool              `json:"after_failure,omitempty"` // the condition is asked although something before has failed
	Retries  int               `json:"retries,omitempty"`       // how often it is run again after a failure of its own
	MayFail  bool              `json:"allow_failure,omitempty"`
	Limits   Resources         `json:"resources,omitzero"`
	Reports  Reports           `json:"reports"`
	Artifact *ArtifactSpec     `json:"artifact,omitempty"`
	Network  Network           `json:"network,omitempty"` // what it asks for; what it gets is Trust.Network

	Buildspec string          `json:"buildspec,omitempty"` // the path of a buildspec, which is run in the place of Run
	Spec      string          `json:"spec,omitempty"`      // its text, at the commit of the plan
	BatchID   string          `json:"batch_id,omitempty"`  // the build of the buildspec's batch that the step is
	Makes     []string        `json:"makes,omitempty"`     // the artifacts that the buildspec names besides Artifact
	Secrets   []SecretUse     `json:"secrets,omitempty"`
	Cache     *CacheSpec      `json:"cache,omitempty"`
	Services  []Service       `json:"services,omitempty"` // in the order in which they are written
	Inputs    []InputArtifact `json:"input_artifacts,omitempty"`
}

// Output names a value that another step puts out.
type Output struct {
	Step string `json:"step"`
	Name string `json:"name"`
}

// Resources are what a step may use. Zero values stand for the server's own limits.
type Resources struct {
	Memory int64   `json:"memory,omitempty"` // bytes
	CPUs   float64 `json:"cpus,omitempty"`
	PIDs   int64   `json:"pids,omitempty"` // processes and threads
}

// Reports are globs of files that the step writes, by the form that they have: results of tests, of analyses, and coverage.
type Reports struct {
	JUnit     string `json:"junit,omitempty"`
	Go        string `json:"go,omitempty"` // what `go test` printed, plain or -json
	TRX       string `json:"trx,omitempty"`
	Cucumber  string `json:"cucumber,omitempty"`
	SARIF     string `json:"sarif,omitempty"`
	Cobertura string `json:"cobertura,omitempty"`
	JaCoCo    string `json:"jacoco,omitempty"`
	LCOV      string `json:"lcov,omitempty"`
}

// ArtifactSpec says which files of the workspace make an artifact.
type ArtifactSpec struct {
	Name  string   `json:"name"`
	Paths []string `json:"paths"` // globs, relative to the workspace; none when a buildspec says them
}

// Environment is a place that artifacts are deployed to, as the plan describes it.
type Environment struct {
	Name     string   `json:"name"`
	On       EnvOn    `json:"on"`
	After    string   `json:"after,omitempty"` // the environment that must run the artifact first
	Artifact string   `json:"artifact"`
	URL      string   `json:"url,omitempty"` // may hold {{ pr }}, {{ sha }} and {{ env }}
	Expires  Duration `json:"expires,omitempty"`
	Target   Target   `json:"target"`
	Verify   Verify   `json:"verify"`
	Approve  *Approve `json:"approve,omitempty"`

	Secrets []SecretUse `json:"secrets,omitempty"` // for its target only
}

// EnvOn says what brings an artifact here by itself. The zero value: nothing does, only After or a command.
type EnvOn struct {
	PullRequest bool   `json:"pull_request,omitempty"` // one environment per pull request, named <name>/pr-<number>
	Branch      string `json:"branch,omitempty"`       // a glob of pushed branches
}

// Target names an adapter and its settings, for example {Kind: "static", Settings: {"root": "shop/staging"}}.
type Target struct {
	Kind     string            `json:"kind"`
	Settings map[string]string `json:"settings"`
}

// Verify is how a deployment is proven after the switch. The zero value asks nothing.
type Verify struct {
	HTTP     string `json:"http,omitempty"`     // a path below the environment's URL that must answer 200 to 399
	Contains string `json:"contains,omitempty"` // text that the answer must hold
}

// Approve is a gate that only people open. Everyone counted must satisfy it at the moment of the decision, and still when
// the deployment starts.
type Approve struct {
	By             []string       `json:"by,omitempty"` // roles ("maintain"), "team:slug", "user:login", "codeowners"; empty when there are groups
	Count          int            `json:"count"`        // how many different people, at least 1
	Groups         []ApproveGroup `json:"groups,omitempty"`
	NotAuthor      bool           `json:"not_author,omitempty"`
	NotContributor bool           `json:"not_contributor,omitempty"`
	Expires        Duration       `json:"expires"`                 // how long an approval lasts
	UnsafeWindow   Duration       `json:"unsafe_window,omitempty"` // how long after a push an approval must name its commit; 0 stands for DefaultUnsafeWindow
}

// ApproveGroup asks for some people of a kind.
type ApproveGroup struct {
	By    []string `json:"by"`
	Count int      `json:"count"`
}

// Codeowners in a list of approvers stands for the owners of the changed files.
const Codeowners = "codeowners"

// DefaultUnsafeWindow is how long after a push nobody can have read it.
const DefaultUnsafeWindow = 30 * time.Second

// Parts are the groups of the rule; a rule without groups is one itself.
func (a Approve) Parts() []ApproveGroup {
	if len(a.Groups) > 0 {
		return a.Groups
	}
	return []ApproveGroup{{By: a.By, Count: max(a.Count, 1)}}
}

// Names reports whether some part of the rule names a kind of people.
func (a Approve) Names(by string) bool {
	for _, part := range a.Parts() {
		for _, b := range part.By {
			if b == by {
				return true
			}
		}
	}
	return false
}

// Window is how long after a push an approval must name its commit.
func (a Approve) Window() time.Duration {
	if a.UnsafeWindow <= 0 {
		return DefaultUnsafeWindow
	}
	return a.UnsafeWindow.Std()
}

// Problem is a mistake in a plan file, with its place. Lines and columns start at 1.
type Problem struct {
	Path    string `json:"path,omitempty"` // of another file than the plan: one that it uses, or a buildspec
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`        // what is wrong, in one sentence
	Hint    string `json:"hint,omitempty"` // what to do about it
}

// File is the file that the mistake is in.
func (p Problem) File() string {
	if p.Path != "" {
		return p.Path
	}
	return PlanPath
}

// Wrong says which file has mistakes, and how many: "the file has 2 mistakes". With several files it names the first.
func Wrong(problems []Problem) string {
	file, same := PlanPath, 0
	for i, p := range problems {
		if i == 0 {
			file = p.File()
		}
		if p.File() == file {
			same++
		}
	}
	if same == 1 {
		return file + " has a mistake"
	}
	return fmt.Sprintf("%s has %d mistakes", file, same)
}
