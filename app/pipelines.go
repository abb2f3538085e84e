package app

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/planfile"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// The bounds of a repository's pipelines.
const (
	maxPipelines     = 20
	maxPipelineFiles = 100 // of the folder that are looked at: files that pipelines use may lie beside them
)

// Planned is one of a repository's pipelines as it stands at a commit. One with problems has nothing but its name and file.
type Planned struct {
	Plan     pipeline.Plan
	Problems []pipeline.Problem
	Text     []byte // as it was read
}

// Good reports whether the pipeline can be used.
func (p Planned) Good() bool { return len(p.Problems) == 0 }

// Repository is where pipelines are read from: one commit, or a folder.
type Repository struct {
	Most pipeline.Resources
	// Folder lists the files of PlanFolder by name.
	Folder func() ([]string, error)
	// File reads a file of at most limit bytes: source.ErrNoFile when there is none, source.ErrTooLarge when it has more.
	File func(path string, limit int64) ([]byte, error)
}

// Pipelines reads all of a repository's pipelines, that of PlanPath first. A mistake in one of them, and what one of them
// claims that belongs to another, is a problem of that one alone. source.ErrNoFile says that there is none at all.
func (r Repository) Pipelines() (all []Planned, err error) {
	names, err := r.Folder()
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return path.Ext(name) != ".yml" && path.Ext(name) != ".yaml" })
	slices.Sort(names)
	fronts := []planfile.Front{}
	first, front, err := r.one(pipeline.PlanPath)
	switch {
	case errors.Is(err, source.ErrNoFile) && len(names) == 0:
		return nil, err
	case err == nil:
		first.Plan.Name, first.Plan.File = "", ""
		if front.Name != "" && first.Good() {
			at := front.NameAt
			at.Message, at.Hint = "this pipeline is called conveyor, and has no other name", "remove the name: checks that branches require are called after it"
			first.Plan, first.Problems = pipeline.Plan{}, []pipeline.Problem{at}
		}
		all, fronts = append(all, first), append(fronts, front)
	case !errors.Is(err, source.ErrNoFile):
		return nil, err
	}
	if len(names) > maxPipelineFiles {
		return append(all, tooMany(names, maxPipelineFiles, "files")), nil
	}
	for _, name := range names {
		file := path.Join(pipeline.PlanFolder, name)
		one, front, err := r.one(file)
		switch {
		case errors.Is(err, source.ErrNoFile): // it is listed, and no file: a link, or a submodule
			one = Planned{Problems: []pipeline.Problem{{Line: 1, Column: 1, Message: "this is a link, and links are not followed", Hint: "put the file itself there"}}}
		case err != nil:
			return nil, err
		case front.Part:
			continue
		case path.Ext(name) == ".yaml" && one.Good():
			one.Problems = []pipeline.Problem{{Line: 1, Column: 1, Message: "the files of pipelines end with .yml", Hint: "rename it to " + strings.TrimSuffix(name, ".yaml") + ".yml"}}
		}
		one.Plan.File = file
		if one.Plan.Name = front.Name; front.Name == "" {
			if one.Plan.Name = strings.TrimSuffix(name, ".yml"); !planfile.IsName(one.Plan.Name) {
				one.Plan.Name = called(name)
				if one.Good() {
					one.Problems = []pipeline.Problem{{Line: 1, Column: 1, Message: "the pipeline cannot be called after its file", Hint: "write name: with lower-case letters, digits, - and _"}}
				}
			}
		}
		all, fronts = append(all, one), append(fronts, front)
	}
	if len(all) > maxPipelines {
		all = slices.DeleteFunc(all, func(p Planned) bool { return p.Plan.File != "" })
		return append(all, tooMany(names, maxPipelines, "pipelines")), nil
	}
	namesDiffer(all, fronts)
	onePlaces(all, fronts)
	for i := range all {
		if p := &all[i]; !p.Good() {
			p.Plan = pipeline.Plan{Name: p.Plan.Name, File: p.Plan.File} // a file with a mistake starts, deploys and opens nothing
			for j := range p.Problems {
				if p.Problems[j].Path == "" {
					p.Problems[j].Path = p.Plan.File
				}
			}
		}
	}
	return all, nil
}

// tooMany stands for all pipelines of a folder that holds too many.
func tooMany(names []string, most int, what string) Planned {
	at := path.Join(pipeline.PlanFolder, names[0])
	return Planned{
		Plan: pipeline.Plan{Name: pipeline.PlanFolder, File: at},
		Problems: []pipeline.Problem{{Path: at, Line: 1, Column: 1, Hint: "join some of them, or move what is no pipeline elsewhere",
			Message: fmt.Sprintf("%s has %d files, and more than %d %s are not read; none of them is", pipeline.PlanFolder, len(names), most, what)}},
	}
}

// called is what a pipeline is called that can have no name: its file, in a form that fits into the name of a check.
func called(file string) string {
	if len(file) > 60 {
		return pipeline.FileWord(file)
	}
	return file
}

// one reads a file and what it uses.
func (r Repository) one(file string) (p Planned, front planfile.Front, err error) {
	data, err := r.File(file, planLimit)
	if errors.Is(err, source.ErrTooLarge) {
		p.Problems = []pipeline.Problem{{
			Line: 1, Column: 1, Message: fmt.Sprintf("the file is larger than %d KiB", planLimit>>10), Hint: "a plan is a page of text; call scripts of the repository for what is long",
		}}
		return p, planfile.Peek(file, nil), nil
	}
	if err != nil {
		return p, front, err
	}
	p.Text, front = data, planfile.Peek(file, data)
	if front.Part && file != pipeline.PlanPath {
		return p, front, nil
	}
	var failed error // a file that could not be read because of us is no mistake of the plan
	p.Plan, p.Problems = planfile.ParseFor(file, data, planfile.Options{Most: r.Most, Read: func(path string) ([]byte, error) {
		data, err := r.File(path, planLimit)
		switch {
		case errors.Is(err, source.ErrNoFile):
			return nil, planfile.ErrNoFile
		case err != nil && !errors.Is(err, source.ErrTooLarge):
			failed = err
		}
		return data, err
	}})
	if failed != nil || len(p.Problems) > 0 {
		return p, front, failed
	}
	p.Plan, p.Problems, err = Resolve(p.Plan, data, func(path string) ([]byte, error) { return r.File(path, buildspecLimit) })
	return p, front, err
}

// namesDiffer wants good pipelines to have names of their own. Those that share one are known by their files, so that their
// checks have different names. What has other mistakes takes no name away from a good one.
func namesDiffer(all []Planned, fronts []planfile.Front) {
	good, others := map[string][]int{}, map[string][]int{}
	for i, p := range all {
		if p.Plan.Name == pipeline.DefaultPipeline && p.Good() {
			all[i].Problems = []pipeline.Problem{{Line: 1, Column: 1, Message: "conveyor is the pipeline of " + pipeline.PlanPath, Hint: "choose another name"}}
			all[i].Plan.Name = called(path.Base(p.Plan.File))
		} else if p.Good() {
			good[p.Plan.Name] = append(good[p.Plan.Name], i)
		} else {
			others[p.Plan.Name] = append(others[p.Plan.Name], i)
		}
	}
	for name, same := range good {
		if len(same) < 2 {
			continue
		}
		for n, i := range same {
			at := fronts[i].NameAt
			at.Message = fmt.Sprintf("the pipelines of %s and %s are both called %q", all[i].Plan.Path(), all[same[(n+1)%len(same)]].Plan.Path(), name)
			at.Hint = "give one of them another name"
			all[i].Problems = append(all[i].Problems, at)
		}
		for _, i := range same {
			all[i].Plan.Name = called(path.Base(all[i].Plan.File))
		}
	}
	for name, same := range others {
		for _, i := range same {
			if (len(same) > 1 || len(good[name]) > 0 || name == pipeline.DefaultPipeline) && all[i].Plan.File != "" {
				all[i].Plan.Name = called(path.Base(all[i].Plan.File))
			}
		}
	}
}

// onePlaces wants one file to declare the environments: that of PlanPath when it does. Of several others none is taken.
func onePlaces(all []Planned, fronts []planfile.Front) {
	var declare []int
	for i := range all {
		if fronts[i].Environments && (all[i].Good() || all[i].Plan.File == "") {
			declare = append(declare, i)
		}
	}
	if len(declare) < 2 {
		return
	}
	for n, i := range declare {
		if all[i].Plan.File == "" {
			continue
		}
		other := all[declare[(n+1)%len(declare)]]
		if first := all[declare[0]]; first.Plan.File == "" {
			other = first
		}
		at := fronts[i].PlacesAt
		at.Message, at.Hint = other.Plan.Path()+" declares environments, too", "write all environments into one file: their order is that of promotion"
		all[i].Problems = append(all[i].Problems, at)
	}
}

// pipelines reads those of a fetched commit.
func (a *App) pipelines(ctx context.Context, repo pipeline.Repo, at pipeline.Commit) ([]Planned, error) {
	return Repository{
		Most:   a.most(),
		Folder: func() ([]string, error) { return a.source.Folder(ctx, repo, at, pipeline.PlanFolder) },
		File: func(path string, limit int64) ([]byte, error) {
			return a.source.File(ctx, repo, at, path, limit)
		},
	}.Pipelines()
}

// pipelineNamed finds the pipeline that people call so.
func pipelineNamed(all []Planned, name string) (p Planned, why string) {
	var names []string
	for _, p := range all {
		if p.Plan.Called() == name {
			return p, ""
		}
		if planfile.IsName(p.Plan.Called()) { // others are text from outside, and cannot be started
			names = append(names, p.Plan.Called())
		}
	}
	return p, "there is no pipeline " + name + "; there are: " + strings.Join(names, ", ")
}
