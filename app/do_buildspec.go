package app

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/buildspec"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

// building is a step whose commands stand in a buildspec, while it runs.
type building struct {
	step    pipeline.Step
	spec    buildspec.Spec
	script  string
	env     []string
	log     io.Writer
	attempt int
}

// What is kept of a build's exported variables, in bytes: they stand in the journal.
const (
	maxExported    = 4 << 10
	maxAllExported = 16 << 10
)

// building prepares the run of a buildspec: its script, its variables, and the head of its log, which names everything
// that has no effect.
func (a *App) building(s pipeline.State, step pipeline.Step, attempt int, log io.Writer) (*building, error) {
	spec, found := buildspec.Parse(step.Buildspec, []byte(step.Spec))
	if len(found.Mistakes) > 0 {
		return nil, fmt.Errorf("%s cannot be used: %s", step.Buildspec, found.Mistakes[0].Message)
	}
	for _, w := range found.Warnings {
		fmt.Fprintf(log, "%s:%d:%d: %s", step.Buildspec, w.Line, w.Column, w.Message)
		if w.Hint != "" {
			fmt.Fprintf(log, " (%s)", w.Hint)
		}
		fmt.Fprintln(log)
	}
	return &building{step: step, attempt: attempt, spec: spec, log: log,
		script: buildspec.Script(spec, step.Env),
		env: buildspec.Environ(buildspec.Facts{
			Run: s.Run, Step: step.Name, Attempt: attempt, Trigger: s.Trigger, Requested: s.Requested, Started: a.now().UTC(),
			RepoURL: strings.TrimSuffix(a.config.GitHubURL, "/") + "/" + s.Trigger.Repo.Slug() + ".git",
			PageURL: a.RunURL(s.Run), BatchID: step.BatchID,
		}),
	}, nil
}

// say writes a line as CodeBuild's agent does.
func (a *App) say(b *building, format string, args ...any) {
	fmt.Fprintf(b.log, "[Container] %s %s\n", a.now().UTC().Format("2006/01/02 15:04:05"), fmt.Sprintf(format, args...))
}

// built says what came of a build: its phases, its reports, its artifacts and its variables. All of it was written where
// the build ran, so that it is read without leaving the workspace, and never makes a step pass that the sandbox saw fail.
func (a *App) built(ctx context.Context, s pipeline.State, b *building, dir string, words logs.Words, r *pipeline.Result) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		r.Outcome, r.Reason = pipeline.Infrastructure, "the workspace could not be opened: "+err.Error()
		return
	}
	defer func() { _ = root.Close() }() // it was only read
	left := a.readLeft(root, b)
	a.readReports(ctx, s, pipeline.Step{Name: b.step.Name, Reports: declared(b.spec.Reports)}, b.attempt, dir, words, r)
	if r.Outcome != pipeline.Passed && r.Outcome != pipeline.Failed {
		return // it was ended from outside: there is no record
	}
	record, err := buildspec.ReadRecord(b.spec, left.phases)
	if err != nil {
		if r.Outcome == pipeline.Passed {
			r.Outcome, r.Reason = pipeline.Failed, "the build has ended without the record of its phases"
		}
		return
	}
	for _, t := range record.Tries {
		r.Phases = append(r.Phases, pipeline.PhaseEnd{Name: t.Phase.String(), Failed: t.Failed, Took: max(t.Ended-t.Began, 0)})
	}
	for name, value := range left.exported {
		left.exported[name] = words.Masked(value) // it goes into the journal and onto the page
	}
	r.Exported = left.exported
	if record.State.Failed {
		r.Outcome, r.Reason = pipeline.Failed, record.Why()
	}
	if record.State.At == buildspec.UploadArtifacts {
		a.keepAll(ctx, s, b, root, dir, left, r)
	}
}

// declared are the reports of a buildspec as a step of the pipeline file has them: one glob for each form.
func declared(groups []buildspec.Report) pipeline.Reports {
	globs := map[string][]string{}
	for _, g := range groups {
		globs[g.Format] = append(globs[g.Format], g.Globs()...)
	}
	one := func(form string) string {
		if len(globs[form]) < 2 {
			return strings.Join(globs[form], "")
		}
		return "{" + strings.Join(globs[form], ",") + "}"
	}
	return pipeline.Reports{
		JUnit: one(buildspec.JUnit), Cucumber: one(buildspec.Cucumber), TRX: one(buildspec.TRX),
		Cobertura: one(buildspec.Cobertura), JaCoCo: one(buildspec.JaCoCo),
	}
}

// keepAll keeps the artifacts, also of a build that has failed. Such artifacts are there to be looked at: only those of a
// step that has passed count.
func (a *App) keepAll(ctx context.Context, s pipeline.State, b *building, root *os.Root, dir string, left left, r *pipeline.Result) {
	if len(b.spec.Artifacts) == 0 {
		return
	}
	failed, tried := "", false
	for i, art := range b.spec.Filled(left.words) {
		name := art.ID
		if name == "" {
			name = b.step.Artifact.Name
		}
		if why := s.Discards(name); why != "" {
			fmt.Fprintf(b.log, "\nThe artifact %s is not kept: %s.\n", name, why)
			continue
		}
		tried = true
		if art.Name != "" {
			a.say(b, "The artifact %s would be called %s by CodeBuild", name, art.Name)
		}
		kept, why := a.keepBuilt(ctx, b, root, dir, left.folder, i, art)
		if why != "" {
			a.say(b, "The artifact %s cannot be kept: %s", name, why)
			if failed == "" {
				failed = why
			}
			continue
		}
		kept.Name = name
		if art.ID == "" {
			r.Artifact = kept
		} else {
			r.Secondary = append(r.Secondary, *kept)
		}
	}
	if !tried {
		return
	}
	if failed == "" {
		a.say(b, "Phase complete: UPLOAD_ARTIFACTS State: SUCCEEDED")
		return
	}
	a.say(b, "Phase complete: UPLOAD_ARTIFACTS State: FAILED")
	if r.Outcome == pipeline.Passed {
		r.Outcome, r.Reason = pipeline.Failed, "UPLOAD_ARTIFACTS failed: "+failed
	}
}

// left is what a run has left in the workspace.
type left struct {
	phases   string
	folder   string // where the workspace stood
	words    map[int]string
	exported map[string]string
}

// readLeft reads it, and removes it: it is no part of what the build has made.
func (a *App) readLeft(root *os.Root, b *building) left {
	l := left{words: map[int]string{}}
	get := func(name string, most int64) (string, bool) {
		text, err := readPart(root, path.Join(buildspec.ResultsDir, name), most)
		return text, err == nil
	}
	l.phases, _ = get("phases", 64<<10)
	l.folder, _ = get("folder", 4<<10)
	for i := range b.spec.Words() {
		if word, ok := get(fmt.Sprintf("word.%d", i), 4<<10); ok {
			l.words[i] = word
		}
	}
	all := 0
	for _, name := range b.spec.Exported {
		value, ok := get("exported."+name, maxExported)
		if !ok {
			continue
		}
		if all += len(value); all > maxAllExported {
			a.say(b, "The variable %s is not exported: all of them together have more than %d bytes", name, maxAllExported)
			continue
		}
		if l.exported == nil {
			l.exported = map[string]string{}
		}
		l.exported[name] = strings.ToValidUTF8(value, "\ufffd")
	}
	if len(l.exported) > 0 {
		a.say(b, "Exported variables: %s", strings.Join(slices.Sorted(maps.Keys(l.exported)), ", "))
	}
	_ = root.RemoveAll(buildspec.ResultsDir) // what cannot be removed is at worst kept with an artifact
	return l
}

// readPart reads a small file. A link or a device is none.
func readPart(root *os.Root, name string, most int64) (string, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return "", fmt.Errorf("%q is no small file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, most))
	return string(data), err
}
