package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/engine"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// exec runs one attempt of a step: say that it starts, run it, say what came of it. The engine has a worker for it.
//
// It is done again under a later lease when the server was lost in the middle. Then the attempt is given up as lost, and
// the state owes the next one: a step's log is written by exactly one process.
func (a *App) exec(ctx context.Context, w *runWork, e pipeline.Exec) error {
	s := w.Latest()
	step, spec := find(s, e.Step)
	if spec == nil || s.Over() {
		return nil
	}
	if at, why := s.Deadline(); !a.now().Before(at) {
		return a.outOfTime(ctx, w, why) // or the step would begin beside the alarm, and win time for the run
	}
	if step.Phase == pipeline.Running && step.Attempt == e.Attempt {
		if step.Token == w.Token {
			return a.lose(ctx, w, pipeline.StepLost{Step: e.Step, Attempt: e.Attempt, Reason: "the worker failed in the middle of it"})
		}
		return a.lose(ctx, w, pipeline.StepLost{Step: e.Step, Attempt: e.Attempt, Reason: "the server died while it ran"})
	}
	s, err := w.Append(ctx, pipeline.StepStarted{Step: e.Step, Attempt: e.Attempt, Token: w.Token, At: a.now().UTC()})
	if err != nil {
		return err
	}
	if step, _ = find(s, e.Step); step.Phase != pipeline.Running || step.Attempt != e.Attempt || step.Token != w.Token {
		return nil // it was cancelled, or someone else has it
	}
	var rest sync.WaitGroup // what is put away while the end is made durable
	defer rest.Wait()
	result, err := a.step(ctx, w, s, *spec, e.Attempt, &rest)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, engine.ErrHandBack):
		return a.lose(ctx, w, pipeline.StepLost{Step: e.Step, Attempt: e.Attempt, Reason: cutOff(cause), Stopped: true})
	case cause != nil:
		return cause // cancelled: the state says so already; or the lease is lost: someone else decides
	case err != nil:
		a.log.Error("step lost", "stream", w.Stream, "step", e.Step, "attempt", e.Attempt, "err", err)
		return a.lose(ctx, w, pipeline.StepLost{Step: e.Step, Attempt: e.Attempt, Reason: err.Error()})
	}
	_, err = w.Append(ctx, pipeline.StepFinished{Step: e.Step, Attempt: e.Attempt, Result: result, At: a.now().UTC()})
	return err
}

// lose gives an attempt up, and completes its log, so that nobody waits for more of it.
func (a *App) lose(ctx context.Context, w *runWork, e pipeline.StepLost) error {
	if log, err := a.logs.Resume(LogName(w.State.Run, e.Step, e.Attempt), nil, stepLogLimit); err == nil {
		fmt.Fprintf(log, "\nThis attempt was lost: %s.\n", e.Reason)
		if err := log.Close(); err != nil {
			a.log.Warn("the log of a lost attempt is not complete", "stream", w.Stream, "step", e.Step, "err", err)
		}
	}
	e.At = a.now().UTC()
	_, err := w.Append(ctx, e)
	return err
}

// cutOff says in words why a step was not let finish.
func cutOff(cause error) string {
	switch {
	case errors.Is(cause, engine.ErrHandBack):
		return "the server was stopped while it ran"
	case errors.Is(cause, engine.ErrLeaseLost):
		return "another server has taken it over"
	}
	return "it is not wanted any more"
}

// step runs one step in a fresh copy of the source. An error is ours, never the step's.
func (a *App) step(ctx context.Context, w *runWork, s pipeline.State, spec pipeline.Step, attempt int, rest *sync.WaitGroup) (_ pipeline.Result, err error) {
	if why := a.boxFor(s.Trust).Isolation().Unfit(); s.Trust < pipeline.Writer && why != "" {
		return pipeline.Result{Outcome: pipeline.Failed, Reason: why}, nil
	}
	given, err := a.stepSecrets(s, spec)
	if err != nil {
		return pipeline.Result{}, fmt.Errorf("the secrets cannot be read: %w", err)
	}
	if given.why != "" {
		return pipeline.Result{Outcome: pipeline.Failed, Reason: given.why}, nil
	}
	spec = s.Chosen(spec)
	spec.Image = a.imageOf(spec)
	id := workID(s.Run, spec.Name, attempt)
	t := s.Trigger
	log, err := a.logs.Writer(LogName(s.Run, spec.Name, attempt), given.masks(), stepLogLimit)
	if err != nil {
		return pipeline.Result{}, fmt.Errorf("no log: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	parts, fault, err := a.checkout(ctx, w, s, log)
	if err != nil {
		return pipeline.Result{}, err
	}
	if fault != "" {
		fmt.Fprintf(log, "\n%s\n", fault)
		return pipeline.Result{Outcome: pipeline.Failed, Reason: fault}, nil
	}
	ws, err := a.source.Workspace(ctx, t.Repo, s.Checkout(), id, parts...)
	if errors.Is(err, source.ErrUnusable) {
		fmt.Fprintf(log, "\n%s\n", unusable(err))
		return pipeline.Result{Outcome: pipeline.Failed, Reason: unusable(err)}, nil
	}
	if err != nil {
		return pipeline.Result{}, fmt.Errorf("no workspace: %w", err)
	}
	defer rest.Go(func() {
		if err := ws.Close(); err != nil { // the step has run; the next server removes what is left
			a.log.Warn("a workspace could not be removed", "run", s.Run, "step", spec.Name, "err", err)
		}
	})
	if anyWaits(s) {
		a.source.Expect(t.Repo, s.Checkout(), parts...)
	}

	for _, note := range given.notes {
		fmt.Fprintln(log, note)
	}
	lent := a.lend(ctx, s, spec, id, ws.Dir(), log)
	if lent != nil {
		defer rest.Go(func() {
			if err := lent.Close(); err != nil { // as with the workspace
				a.log.Warn("a cache could not be taken back", "run", s.Run, "step", spec.Name, "err", err)
			}
		})
	}

	if problem := unfit(ws.Dir(), spec.Dir); problem != "" {
		fmt.Fprintln(log, problem)
		return pipeline.Result{Outcome: pipeline.Failed, Reason: problem}, nil
	}
	if fault, err = a.handOver(ctx, s, &spec, ws.Dir(), log); err != nil {
		return pipeline.Result{}, err
	}
	if fault != "" {
		fmt.Fprintf(log, "\n%s\n", fault)
		return pipeline.Result{Outcome: pipeline.Failed, Reason: fault}, nil
	}
	tree, err := a.source.Tree(ctx, t.Repo, s.Checkout())
	if err != nil {
		return pipeline.Result{}, fmt.Errorf("the source could not be named: %w", err)
	}
	boxes, over, err := a.bring(ctx, w, spec, log)
	defer boxes.release()
	if err != nil {
		return pipeline.Result{}, err
	}
	if over != nil {
		return *over, nil
	}

	script, env := spec.Run, environ(s, spec, attempt)
	var build *building
	if spec.Buildspec != "" {
		if build, err = a.building(s, spec, attempt, log); err != nil {
			return pipeline.Result{Outcome: pipeline.Failed, Reason: err.Error()}, nil
		}
		script, env = build.script, append(build.env, env...)
	}
	box := sandbox.Spec{
		ID: id, Superuser: spec.Root, Script: script, Shell: spec.Shell, Workspace: ws.Dir(), Dir: spec.Dir, Env: env, Output: log, Root: boxes.root, Services: boxes.services,
		Paths: []string{"CONVEYOR_OUTPUT=" + outputFile}, Writes: ws.Written(), Secrets: given.secrets, Folders: folders(lent),
		Limits: sandbox.Limits{Wall: spec.Timeout.Std(), Memory: spec.Limits.Memory, CPUs: spec.Limits.CPUs, PIDs: spec.Limits.PIDs},
	}
	verdict, err := a.inBox(ctx, s, spec, box, log)
	if ctx.Err() != nil || err != nil {
		return pipeline.Result{}, maskError(err, given.masks())
	}
	result := judge(verdict, spec)
	result.Inputs = pipeline.StepDigest(withTaken(s, spec), tree, w.Latest().Images, parts...)
	if verdict.Outcome == sandbox.Unready {
		fmt.Fprintf(log, "\nThe step did not begin: %s.\n", verdict.Reason)
		box.Services = nil // whoever looks around there looks around without them
	}
	words := logs.NewWords(given.masks())
	readOutputs(ws.Dir(), words, &result)
	a.readReports(ctx, s, spec, attempt, ws.Dir(), words, &result)
	if result.Outcome != pipeline.Passed && a.failed != nil {
		_, _ = a.wayOut(s.Trust, spec, &box) // the one before has ended
		a.failed(ctx, spec, box)
	}
	a.keepMade(ctx, s, spec, build, box.Workspace, asCommitted(s, tree, parts, ws), log, words, &result)
	a.attest(ctx, w.Latest(), spec, attempt, &result)
	if result.Outcome == pipeline.Infrastructure { // ours, and not how the step ended: it is tried again
		why := words.Masked(result.Reason)
		fmt.Fprintf(log, "\nThis attempt was lost: %s.\n", why)
		return pipeline.Result{}, errors.New(why)
	}
	if result.Outcome == pipeline.Passed {
		a.keep(ctx, s, spec, lent, given.masks(), log)
	}
	result.Reason = words.Masked(result.Reason)
	return result, nil
}

// inBox runs what was prepared, with the way out that it may have.
func (a *App) inBox(ctx context.Context, s pipeline.State, spec pipeline.Step, box sandbox.Spec, log io.Writer) (sandbox.Verdict, error) {
	network, remark := a.wayOut(s.Trust, spec, &box)
	_, _ = io.WriteString(log, remark)
	verdict, err := a.boxFor(s.Trust).Run(ctx, box)
	if network != nil {
		_, _ = io.WriteString(log, network.Report())
	}
	if err != nil {
		return verdict, fmt.Errorf("the sandbox failed: %w", err)
	}
	if ctx.Err() != nil {
		why := cutOff(context.Cause(ctx))
		if at, _ := s.Deadline(); !a.now().Before(at) {
			why = "the time of the whole run was up"
		}
		fmt.Fprintf(log, "\nThis attempt ended early: %s.\n", why)
	}
	return verdict, ctx.Err()
}

// asCommitted names what a workspace held before the step began, and says where what the step has written is told apart
// from it: the rest need not be read again to be known. It is nothing where the workspace is a plain copy.
func asCommitted(s pipeline.State, tree string, parts []pipeline.Part, ws source.Workspace) (b artifact.Base) {
	if ws.Written() == ws.Dir() {
		return b
	}
	name := fmt.Sprintf("%d/%s", s.Trigger.Repo.ID, tree)
	for _, p := range parts {
		if p.History {
			return b // Git's own files are not the same each time
		}
		name += fmt.Sprintf("\n%q %d %s %t", p.Path, p.Repo.ID, p.Commit, p.LFS)
	}
	return artifact.Base{Name: name, Written: ws.Written()}
}

// keepMade stores the artifacts that a step or its buildspec made.
func (a *App) keepMade(ctx context.Context, s pipeline.State, spec pipeline.Step, build *building, dir string, below artifact.Base, log io.Writer, words logs.Words, r *pipeline.Result) {
	if build != nil {
		a.built(ctx, s, build, dir, words, r)
		return
	}
	if r.Outcome != pipeline.Passed || spec.Artifact == nil {
		return
	}
	if why := s.Discards(spec.Artifact.Name); why != "" {
		fmt.Fprintf(log, "\nThe artifact %s is not kept: %s.\n", spec.Artifact.Name, why)
		return
	}
	a.keepArtifact(ctx, dir, below, *spec.Artifact, r)
}

// anyWaits says that a step of the run is still to be started.
func anyWaits(s pipeline.State) bool {
	for _, step := range s.Steps {
		if step.Phase == pipeline.Waiting {
			return true
		}
	}
	return false
}

// most is what a step may use on this server. A sandbox that bounds nothing gives no bounds.
func (a *App) most() pipeline.Resources {
	limited, ok := a.sandbox.(interface{ Limits() sandbox.Limits })
	if !ok {
		return pipeline.Resources{}
	}
	l := limited.Limits()
	return pipeline.Resources{Memory: l.Memory, CPUs: l.CPUs, PIDs: l.PIDs}
}

// stepLogLimit is how much of a step's output is kept, in bytes.
const stepLogLimit = 64 << 20

// LogName is the name of a step attempt's log.
func LogName(run pipeline.RunID, step string, attempt int) string {
	return fmt.Sprintf("%s/%s/%d", run, pipeline.FileWord(step), attempt)
}

var notWord = regexp.MustCompile(`[^a-zA-Z0-9-]+`)

func workID(run pipeline.RunID, step string, attempt int) string {
	return notWord.ReplaceAllString(fmt.Sprintf("%s-%s-%d", run, pipeline.FileWord(step), attempt), "-")
}

// environ is what a step is told of its run. Text from outside comes as a value of a variable, and in no other way.
func environ(s pipeline.State, spec pipeline.Step, attempt int) []string {
	t := s.Trigger
	env := []string{
		"CONVEYOR=true",
		"CONVEYOR_RUN=" + string(s.Run),
		"CONVEYOR_STEP=" + spec.Name,
		fmt.Sprintf("CONVEYOR_ATTEMPT=%d", attempt),
		"CONVEYOR_EVENT=" + string(t.Kind),
		"CONVEYOR_REPOSITORY=" + t.Repo.Slug(),
		"CONVEYOR_COMMIT=" + string(t.Commit),
		"CONVEYOR_BRANCH=" + t.Branch,
	}
	if t.Pull != 0 {
		env = append(env, fmt.Sprintf("CONVEYOR_PULL_REQUEST=%d", t.Pull), "CONVEYOR_BASE_BRANCH="+t.Base)
	}
	if s.Merge != nil {
		env = append(env, "CONVEYOR_BASE_COMMIT="+string(s.Merge.Base), "CONVEYOR_MERGE_COMMIT="+string(s.Merge.Commit))
	}
	if t.Kind == pipeline.MergeGroup {
		env = append(env, "CONVEYOR_BASE_BRANCH="+t.Base)
	}
	names := make([]string, 0, len(spec.Env))
	for name := range spec.Env {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		env = append(env, name+"="+spec.Env[name])
	}
	return append(env, taken(s, spec)...)
}

// judge puts a verdict into words, and says whose doing the end was.
func judge(v sandbox.Verdict, spec pipeline.Step) pipeline.Result {
	r := pipeline.Result{ExitCode: v.ExitCode, Reason: v.Reason}
	switch v.Outcome {
	case sandbox.TimedOut:
		r.Outcome = pipeline.TimedOut
		r.Reason = fmt.Sprintf("ran into its timeout of %s", spec.Timeout.Std())
	case sandbox.Resource:
		r.Outcome = pipeline.Resource
	case sandbox.Cancelled:
		r.Outcome = pipeline.Cancelled
	case sandbox.Unready: // what the plan's own image does is the plan's doing
		r.Outcome = pipeline.Failed
	default:
		r.Outcome = pipeline.Passed
		if v.ExitCode != 0 {
			r.Outcome = pipeline.Failed
			if r.Reason == "" {
				r.Reason = fmt.Sprintf("exit code %d", v.ExitCode)
			}
			if v.ExitCode == 127 && len(spec.Shell) > 0 {
				r.Reason += fmt.Sprintf(": the shell %s, or a command of the step, is not installed", spec.Shell[0])
			}
		}
	}
	return r
}

// keepArtifact stores what the step made. That it made nothing that matches, or too much, is the step's failure.
func (a *App) keepArtifact(ctx context.Context, dir string, below artifact.Base, spec pipeline.ArtifactSpec, r *pipeline.Result) {
	base, globs := commonFolder(spec.Paths)
	m, err := a.putBelow(ctx, dir, below, base, globs)
	switch {
	case errors.Is(err, artifact.ErrEmpty), errors.Is(err, artifact.ErrTooBig), errors.Is(err, artifact.ErrUnsafe):
		r.Outcome, r.Reason = pipeline.Failed, strings.TrimPrefix(err.Error(), "artifact: ")
	case err != nil:
		r.Outcome, r.Reason = pipeline.Infrastructure, "the artifact could not be stored: "+err.Error()
	default:
		r.Artifact = &pipeline.Artifact{Name: spec.Name, Digest: m.Digest(), Files: len(m.Files), Size: m.Size()}
	}
}

// putBelow stores files below a folder of the workspace. The folder must be a real one: the step may have put a link there.
func (a *App) putBelow(ctx context.Context, dir string, below artifact.Base, base string, globs []string) (artifact.Manifest, error) {
	at := ""
	for part := range strings.SplitSeq(base, "/") {
		if base == "" {
			break
		}
		at = path.Join(at, part)
		info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(at)))
		if errors.Is(err, fs.ErrNotExist) {
			return artifact.Manifest{}, fmt.Errorf("%w: there is no folder %s", artifact.ErrEmpty, at)
		}
		if err != nil {
			return artifact.Manifest{}, err
		}
		if !info.IsDir() {
			return artifact.Manifest{}, fmt.Errorf("%w: %s is not a folder", artifact.ErrUnsafe, at)
		}
	}
	root := filepath.Join(dir, filepath.FromSlash(base))
	if store, ok := a.artifacts.(artifact.OverStore); ok && below.Written != "" {
		below.Folder = base
		return store.PutOver(ctx, root, below, globs, artifact.Limits{})
	}
	return a.artifacts.Put(ctx, root, globs, artifact.Limits{})
}

// commonFolder is the deepest folder that all globs name before their first pattern, and the globs below it: the
// artifact of "dist/**" holds what is in dist, and not dist itself.
func commonFolder(globs []string) (string, []string) {
	base, below := "", make([]string, len(globs))
	for i, glob := range globs {
		folder, _ := doublestar.SplitPattern(glob)
		if folder == "." {
			folder = ""
		}
		if i == 0 {
			base = folder
		}
		for base != "" && folder != base && !strings.HasPrefix(folder, base+"/") {
			base, _ = path.Split(base)
			base = strings.TrimSuffix(base, "/")
		}
	}
	for i, glob := range globs {
		below[i] = strings.TrimPrefix(glob, base)
		below[i] = strings.TrimPrefix(below[i], "/")
	}
	return base, below
}

func find(s pipeline.State, name string) (pipeline.StepState, *pipeline.Step) {
	for _, st := range s.Steps {
		if st.Name != name {
			continue
		}
		for _, step := range s.Plan.Stages[st.Stage].Steps {
			if step.Name == name {
				return st, &step
			}
		}
	}
	return pipeline.StepState{}, nil
}
