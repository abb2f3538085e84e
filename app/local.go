package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/engine"
	"github.com/conveyor-ci/conveyor/pipeline/journal/memory"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/none"
)

// Local runs a working folder on the machine of whoever works in it: the same plan, machine, engine and sandbox as a
// server's, without a server and without GitHub.
type Local struct {
	Folder  string // anywhere in a working tree of git
	Only    string // a stage or a step; empty is all
	Name    string // the pipeline, as people call it; empty for the one of PlanPath, or the only one
	Inputs  map[string]string
	Sandbox string // as Config.Sandbox
	Tools   []string
	Workers int

	DockerHost, DockerImage string // as Config's

	Shell bool // open a shell where a step failed

	In  io.Reader // what the shell reads
	Out io.Writer // what people see
	Log *slog.Logger
}

// PlanError is a plan that cannot be used. Text is the plan file as it was read.
type PlanError struct {
	File     string
	Text     []byte
	Problems []pipeline.Problem
}

func (e *PlanError) Error() string { return e.File + " cannot be used" }

// local is one such run.
type local struct {
	*App
	Local
	say   *terminal
	shell sync.Mutex               // one at a time
	shown map[string]chan struct{} // by step; closed once its end is shown
}

// Run runs it, and reports whether all of it passed.
func (l Local) Run(ctx context.Context) (passed bool, err error) {
	dir, err := os.MkdirTemp("", "conveyor-run-")
	if err != nil {
		return false, fmt.Errorf("app: no room for the run: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o711); err != nil { // a step's user passes through to its workspace, and sees nothing else
		return false, fmt.Errorf("app: no room for the run: %w", err)
	}
	config := Config{DataDir: dir, Sandbox: l.Sandbox, DockerHost: l.DockerHost, DockerImage: l.DockerImage, Tools: l.Tools, Workers: l.Workers, Network: pipeline.ListedHosts}
	policy, _ := config.egressPolicy() // the usual one has no mistakes
	r := &local{Local: l, say: newTerminal(l.Out), App: &App{
		config: config, egress: policy, log: l.Log, clock: time.Now, journal: memory.New(time.Now),
	}}
	r.held = newHeld(r.now, func(string) {})
	defer func() { err = errors.Join(err, r.Close()) }()
	for _, open := range []func(context.Context) error{r.openBox, r.openSource, r.openKept} {
		if err := open(ctx); err != nil {
			return false, err
		}
	}
	if l.Shell {
		r.failed = r.openShell
	}
	request, err := r.request(ctx)
	if err != nil {
		return false, err
	}
	return r.play(ctx, request)
}

// openBox finds the strongest sandbox that this person can have, and says which one it is.
func (r *local) openBox(ctx context.Context) error {
	root := os.Geteuid() == 0
	switch {
	case r.Sandbox == "none":
		r.sandbox = none.New()
	case r.Sandbox == "auto" && !root:
		box, err := shutIn(ctx, r.config, filepath.Join(r.config.DataDir, "sandbox"), r.log)
		if err != nil {
			r.sandbox = none.New()
			r.say.line("Isolation: none, for %s. Steps run as you, with all that you can reach.", strings.Join(strings.Fields(err.Error()), " "))
			return nil
		}
		r.sandbox = box
		r.closers = append(r.closers, box.Close)
	default:
		box, err := shutIn(ctx, r.config, filepath.Join(r.config.DataDir, "sandbox"), r.log)
		if err != nil {
			return fmt.Errorf("app: steps cannot be shut in here: %w; to run them as plain processes, with all that you can reach, say --sandbox none", err)
		}
		r.sandbox = box
		r.closers = append(r.closers, box.Close)
	}
	in := r.sandbox.Isolation()
	r.say.line("Isolation: %s, by %s.", in.Level, in.Runtime)
	if in.ShutsIn() && !in.Limited {
		r.say.line("Steps can use all of the machine's memory and processors. Run it with sudo, or where a cgroup is handed over to you, to limit them.")
	}
	return nil
}

// openKept opens what a server keeps, in the folder of this run; but secrets are the person's own.
func (r *local) openKept(ctx context.Context) error {
	err := r.openStores(ctx)
	r.secrets = ownEnvironment{}
	return err
}

// request records the folder as a commit, reads the plan in it, and asks for the run as a push of that commit would.
func (r *local) request(ctx context.Context) (pipeline.Requested, error) {
	top, err := r.source.Top(ctx, r.Folder)
	if err != nil {
		return pipeline.Requested{}, err
	}
	repo := pipeline.Repo{ID: 1, Owner: "local", Name: path.Base(filepath.ToSlash(top))}
	planted, err := r.source.Plant(ctx, repo, top)
	if err != nil {
		return pipeline.Requested{}, err
	}
	if owner, name, ok := slugOf(planted.Origin); ok {
		repo.Owner, repo.Name = owner, name
	}
	what := planted.Commit.Short()
	if planted.Head == "" || planted.Dirty {
		what = "the files as they are now, " + map[bool]string{true: "without a commit", false: "with what " + planted.Head.Short() + " does not have"}[planted.Head == ""]
	}
	r.say.line("Running %s: %s (tree %.12s).", repo.Slug(), what, planted.Tree)
	all, err := r.pipelines(ctx, repo, planted.Commit)
	if err != nil {
		return pipeline.Requested{}, fmt.Errorf("app: %s cannot be read in %s: %w", pipeline.PlanPath, top, err)
	}
	p, err := r.meant(all)
	if err != nil {
		return pipeline.Requested{}, err
	}
	plan := p.Plan
	trigger := pipeline.Trigger{Kind: pipeline.Push, Delivery: "local", Repo: repo, Commit: planted.Commit, Ref: "refs/heads/" + planted.Branch, Branch: planted.Branch}
	if err := byHand(plan, &trigger, r.Inputs); err != nil {
		return pipeline.Requested{}, err
	}
	if plan.Stages, err = only(plan.Stages, r.Only); err != nil {
		return pipeline.Requested{}, err
	}
	if err := r.openCached(ctx, plan); err != nil {
		return pipeline.Requested{}, err
	}
	now := time.Now().UTC()
	trigger.At = now
	return pipeline.Requested{
		Run: pipeline.NewRunID(repo.ID, "local"), Trust: pipeline.Writer, Plan: plan, PlanFrom: planted.Commit, At: now,
		Trigger: trigger,
	}, nil
}

// meant is the pipeline that the person names.
func (r *local) meant(all []Planned) (p Planned, err error) {
	name := r.Name
	if name == "" {
		name = all[0].Plan.Called() // that of PlanPath, where there is one
		if len(all) > 1 && name != pipeline.DefaultPipeline {
			_, why := pipelineNamed(all, pipeline.DefaultPipeline)
			return p, fmt.Errorf("app: %s; name one with -p", why)
		}
	}
	p, why := pipelineNamed(all, name)
	if why != "" {
		return p, fmt.Errorf("app: %s", why)
	}
	if !p.Good() {
		return p, &PlanError{p.Plan.Path(), p.Text, p.Problems}
	}
	return p, nil
}

// byHand makes the run one that a person starts, when the plan is for that only, or inputs are given.
func byHand(plan pipeline.Plan, t *pipeline.Trigger, given map[string]string) error {
	on := plan.On
	switch {
	case on.Manual == nil && len(given) > 0:
		return fmt.Errorf("app: the pipeline %s takes no inputs: it has no on.manual", plan.Called())
	case on.Manual == nil, len(given) == 0 && (on.Push != nil || on.PullRequest != nil):
		return nil
	}
	values, wrong := on.Manual.Take(given)
	if len(wrong) > 0 {
		return fmt.Errorf("app: the pipeline %s cannot be run: %s", plan.Called(), strings.Join(wrong, "; "))
	}
	t.Kind, t.Inputs = pipeline.ByHand, values
	return nil
}

// openCached opens the images that were pulled before, where a step needs one. They outlive the run, in the person's
// cache.
func (r *local) openCached(ctx context.Context, plan pipeline.Plan) error {
	if len(plan.ImageNames()) == 0 && r.config.Sandbox != "docker" {
		return nil
	}
	dir := r.config.DataDir
	if cache, err := os.UserCacheDir(); err == nil {
		dir = filepath.Join(cache, "conveyor")
	}
	keeper := &App{config: r.config, log: r.log, clock: r.clock, sandbox: r.sandbox}
	keeper.config.DataDir = dir
	if err := keeper.openImages(ctx); err != nil {
		return err
	}
	r.images, r.closers = keeper.images, append(r.closers, keeper.closers...)
	return nil
}

// only leaves the stage, or the stage of the one step, that is named.
func only(stages []pipeline.Stage, name string) ([]pipeline.Stage, error) {
	if name == "" {
		return stages, nil
	}
	var there []string
	for _, stage := range stages {
		if there = append(there, stage.Name); stage.Name == name {
			return []pipeline.Stage{alone(stage)}, nil
		}
	}
	for _, stage := range stages {
		named := pipeline.Stage{Name: stage.Name}
		for _, step := range stage.Steps {
			if there = append(there, step.Name); step.Name == name || step.Of == name {
				step.If, step.After = "", false // who names a step wants it run
				named.Steps = append(named.Steps, step)
			}
		}
		if len(named.Steps) > 0 {
			return []pipeline.Stage{alone(named)}, nil
		}
	}
	return nil, fmt.Errorf("app: the plan has neither a stage nor a step %q; it has %s", name, strings.Join(there, ", "))
}

// alone is a stage whose steps wait for nothing that is not in it.
func alone(stage pipeline.Stage) pipeline.Stage {
	stage.Steps = slices.Clone(stage.Steps)
	for i, step := range stage.Steps {
		stage.Steps[i].Needs = nil
		for _, name := range step.Needs {
			if slices.ContainsFunc(stage.Steps, func(other pipeline.Step) bool { return other.Name == name }) {
				stage.Steps[i].Needs = append(stage.Steps[i].Needs, name)
			}
		}
	}
	return stage
}

// slugOf takes owner and name out of a remote's address: https://HOST/OWNER/NAME.git or git@HOST:OWNER/NAME.git.
func slugOf(origin string) (owner, name string, ok bool) {
	parts := strings.FieldsFunc(strings.TrimSuffix(origin, ".git"), func(c rune) bool { return c == '/' || c == ':' })
	if len(parts) < 3 {
		return "", "", false
	}
	return parts[len(parts)-2], parts[len(parts)-1], true
}

// play lets the engine do the run until it is over.
func (r *local) play(ctx context.Context, request pipeline.Requested) (bool, error) {
	if _, err := r.post(ctx, string(request.Run), "", request); err != nil {
		return false, err
	}
	r.shown = map[string]chan struct{}{}
	for _, stage := range request.Plan.Stages {
		for _, step := range stage.Steps {
			r.shown[step.Name] = make(chan struct{})
		}
	}
	ctx, over := context.WithCancel(ctx)
	defer over()
	machine := r.runs()
	asOnAServer := machine.Do
	machine.Do = func(ctx context.Context, w *runWork, effect pipeline.Effect) error {
		switch e := effect.(type) {
		case pipeline.Exec:
			return r.step(ctx, w, e)
		case pipeline.TellCheck: // there is nobody to tell
			_, err := w.Append(ctx, pipeline.CheckTold{Check: e.Check, Mark: e.Mark})
			return err
		case pipeline.Upload:
			_, err := w.Append(ctx, pipeline.Uploaded{Step: e.Step, Attempt: e.Attempt})
			return err
		case pipeline.Report:
			defer over()
			_, err := w.Append(ctx, pipeline.Reported{At: r.now().UTC()})
			return err
		}
		return asOnAServer(ctx, w, effect)
	}
	if err := engine.New(engine.Options{Journal: r.journal, Log: r.log, Now: r.clock, Grace: time.Second, Workers: max(r.Workers, 1)}, machine).Run(ctx); err != nil {
		return false, err
	}
	s, _, err := machine.Load(context.WithoutCancel(ctx), r.journal, string(request.Run))
	if err != nil {
		return false, err
	}
	return r.summary(s), nil
}

// step does one attempt of a step, and shows what it prints while it does.
func (r *local) step(ctx context.Context, w *runWork, e pipeline.Exec) error {
	for _, st := range w.State.Steps { // what has ended is shown first
		if st.Phase == pipeline.Done && st.Attempt > 0 { // others have printed nothing
			select {
			case <-r.shown[st.Name]:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	r.say.line("▶ %s", e.Step)
	done := make(chan struct{})
	var follow sync.WaitGroup
	follow.Go(func() { r.follow(context.WithoutCancel(ctx), LogName(w.State.Run, e.Step, e.Attempt), e.Step, done) })
	err := r.exec(ctx, w, e)
	close(done)
	follow.Wait()
	if st, _ := find(w.Latest(), e.Step); st.Phase == pipeline.Done {
		r.say.line("%s %s %s%s", map[bool]string{true: "✓", false: "✗"}[st.Result.Outcome == pipeline.Passed], e.Step, st.Result.Outcome, because(st.Result.Reason))
		close(r.shown[e.Step])
	}
	return err
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// follow prints a log from its beginning to its end, as it grows. It may not have begun, and, when the step could not be
// started, never begin. The end of the step is not the end of its log: what it has printed last is still to come.
func (r *local) follow(ctx context.Context, log, step string, done <-chan struct{}) {
	out := r.say.of(step)
	defer out.end()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for last := false; ; {
		begun := false
		for block, err := range r.logs.Follow(ctx, log, 0) {
			if err != nil {
				break
			}
			begun = true
			out.write(block.Data)
		}
		if begun || last {
			return
		}
		select {
		case <-done:
			last = true // it may have begun and ended since
		case <-look.C:
		}
	}
}

// summary says how each step ended, and what went into it.
func (r *local) summary(s pipeline.State) bool {
	r.say.line("")
	for _, st := range s.Steps {
		word := string(st.Result.Outcome)
		if st.Phase != pipeline.Done {
			word = "not run"
		}
		r.say.line("%-20s %-14s %s", st.Name, word, st.Result.Inputs)
		for _, made := range st.Result.Made() {
			r.say.line("%-20s %-14s %s", "  "+made.Name, "artifact", made.Digest)
		}
	}
	return s.Conclusion() == pipeline.Success
}

// openShell lets the person look around where a step failed: in the workspace as the step left it, in the same sandbox,
// with the same variables. What the person types reaches the shell through a pipe in the workspace.
func (r *local) openShell(ctx context.Context, step pipeline.Step, as sandbox.Spec) {
	r.shell.Lock()
	defer r.shell.Unlock()
	r.say.line("A shell in the workspace of %s, as the step left it. The step is: %s. End the shell with exit.", step.Name, oneLine(step.Run))
	if err := inShell(ctx, r.sandbox, as, r.In, r.say); err != nil {
		r.say.line("The shell could not be opened: %s", err)
	}
}

func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return text
}
