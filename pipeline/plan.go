package pipeline

// PlanPath is where a repository keeps its plan.
const PlanPath = ".github/conveyor.yml"

// Plan is the pipeline file as it stood at one commit.
type Plan struct {
	Version      int           `json:"version"`
	On           On            `json:"on"`
	Stages       []Stage       `json:"stages"`
	Environments []Environment `json:"environments,omitempty"` // in promotion order, as written
}

// On says which events start a run. A nil filter means that this kind of event starts none.
type On struct {
	Push        *Filter `json:"push,omitempty"`
	PullRequest *Filter `json:"pull_request,omitempty"`
	MergeGroup  *Filter `json:"merge_group,omitempty"` // nil: as for a pull request into its base, or a push to it
}

// Filter narrows events down. An empty list lets everything pass.
type Filter struct {
	Branches []string `json:"branches,omitempty"` // globs: the pushed branch, or the base of the pull request or merge group
}

// Stage is a group of steps that may run together. Stages run in the order in which they are written.
type Stage struct {
	Name  string `json:"name"`
	Steps []Step `json:"steps"`
}

// Step is one command list in one sandbox, in a fresh copy of the source.
type Step struct {
	Name     string            `json:"name"`
	Run      string            `json:"run"`
	Env      map[string]string `json:"env,omitempty"`
	Timeout  Duration          `json:"timeout"` // always set: the parser fills in the default
	Reports  Reports           `json:"reports"`
	Artifact *ArtifactSpec     `json:"artifact,omitempty"`
}

// Reports are globs of files that the step writes and that become annotations.
type Reports struct {
	JUnit string `json:"junit,omitempty"`
	Go    string `json:"go,omitempty"` // what `go test` printed, plain or -json
}

// ArtifactSpec says which files of the workspace make an artifact.
type ArtifactSpec struct {
	Name  string   `json:"name"`
	Paths []string `json:"paths"` // globs, relative to the workspace
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

// Approve is a gate that only people open. Everyone counted must satisfy By at the moment of the decision.
type Approve struct {
	By        []string `json:"by"`    // roles ("maintain"), "team:slug", "user:login"
	Count     int      `json:"count"` // how many different people, at least 1
	NotAuthor bool     `json:"not_author,omitempty"`
	Expires   Duration `json:"expires"` // how long an approval lasts
}

// Problem is a mistake in a plan file, with its place. Lines and columns start at 1.
type Problem struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`        // what is wrong, in one sentence
	Hint    string `json:"hint,omitempty"` // what to do about it
}
