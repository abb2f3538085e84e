package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/planfile"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// ofRepository says which repository a file is a pipeline of: what its path begins with. one is the file from there, when it
// is not that of all pipelines' default.
func ofRepository(file string) (top, one string, ok bool) {
	slashed := filepath.ToSlash(filepath.Clean(file))
	if strings.HasPrefix(file, "./") {
		slashed = "./" + slashed
	}
	if top, ok = strings.CutSuffix(slashed, pipeline.PlanPath); ok && (top == "" || strings.HasSuffix(top, "/")) {
		return top, "", true
	}
	dir, name := path.Split(slashed)
	if top, ok = strings.CutSuffix(dir, pipeline.PlanFolder+"/"); ok && (top == "" || strings.HasSuffix(top, "/")) {
		return top, path.Join(pipeline.PlanFolder, name), true
	}
	return "", "", false
}

// inFolder reads the pipelines of a repository that lies in a folder.
func inFolder(top string) app.Repository {
	return app.Repository{
		Folder: func() (names []string, err error) {
			entries, err := os.ReadDir(filepath.FromSlash(top + pipeline.PlanFolder))
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			for _, e := range entries {
				if !e.IsDir() {
					names = append(names, e.Name())
				}
			}
			return names, err
		},
		File: func(path string, limit int64) ([]byte, error) {
			name := filepath.FromSlash(top + path)
			info, err := os.Lstat(name)
			switch {
			case errors.Is(err, fs.ErrNotExist), err == nil && !info.Mode().IsRegular():
				return nil, source.ErrNoFile
			case err == nil && info.Size() > limit:
				return nil, source.ErrTooLarge
			}
			return os.ReadFile(name)
		},
	}
}

// pipelines checks those of a repository, or one of them, against the others.
func (v *validate) pipelines(top, one string) error {
	all, err := inFolder(top).Pipelines()
	if errors.Is(err, source.ErrNoFile) {
		return fmt.Errorf("the pipeline file cannot be read: there is no %s", v.File)
	}
	if err != nil {
		return fmt.Errorf("the pipeline files cannot be read: %w", err)
	}
	failed, found := false, false
	for _, p := range all {
		if one != "" && p.Plan.Path() != one {
			continue
		}
		found = true
		name := v.File
		if p.Plan.Path() != pipeline.PlanPath {
			name = top + p.Plan.Path()
		}
		if p.Good() {
			good(name, p.Plan)
			continue
		}
		failed = true
		for _, problem := range p.Problems {
			file, data := name, p.Text
			if problem.Path != "" {
				file = top + problem.Path
				data, _ = os.ReadFile(filepath.FromSlash(file)) // without it the line is not shown
			}
			fmt.Fprint(os.Stderr, planfile.Format(file, data, []pipeline.Problem{problem}))
		}
	}
	switch {
	case failed:
		return saidError{}
	case !found && one != "":
		data, err := os.ReadFile(v.File)
		if err != nil {
			return fmt.Errorf("the pipeline file cannot be read: %w", err)
		}
		if !planfile.Peek(v.File, data).Part {
			return fmt.Errorf("%s is not read as a pipeline: there are too many files beside it, or it does not end with .yml", v.File)
		}
		fmt.Printf("%s is no pipeline: it holds stages that pipelines may use. Check those.\n", v.File)
	}
	return nil
}
