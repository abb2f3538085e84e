package buildspec

import "github.com/conveyor-ci/conveyor/pipeline"

// Spec is what a buildspec says.
type Spec struct {
	Version   string      `json:"version"`             // "0.1" or "0.2"
	Shell     string      `json:"shell"`               // "/bin/sh" or "bash"
	Vars      []Var       `json:"variables,omitempty"` // in the order of the file
	Secrets   []Secret    `json:"secrets,omitempty"`   // variables whose values stand elsewhere
	Exported  []string    `json:"exported,omitempty"`
	Install   Section     `json:"install"`
	PreBuild  Section     `json:"pre_build"`
	Build     Section     `json:"build"`
	PostBuild Section     `json:"post_build"`
	Runtimes  []Var       `json:"runtimes,omitempty"` // what runtime-versions asks for
	Reports   []Report    `json:"reports,omitempty"`
	Artifacts []Artifacts `json:"artifacts,omitempty"` // the first is the primary one, without an identifier; then the secondary ones
	Cache     *Cache      `json:"cache,omitempty"`
	Batch     *Batch      `json:"batch,omitempty"`
}

// Var is an environment variable.
type Var struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Secret is a variable that AWS would fetch from one of its stores.
type Secret struct {
	Name   string `json:"name"`
	Store  string `json:"store"` // "parameter-store" or "secrets-manager"
	Ref    string `json:"ref"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// Section is what a buildspec says of one phase.
type Section struct {
	Commands  []string  `json:"commands,omitempty"`
	Finally   []string  `json:"finally,omitempty"`
	OnFailure OnFailure `json:"on_failure,omitzero"`
}

// Section is the one of a phase, empty for the phases that no buildspec speaks of.
func (s Spec) Section(p Phase) Section {
	switch p {
	case Install:
		return s.Install
	case PreBuild:
		return s.PreBuild
	case Build:
		return s.Build
	case PostBuild:
		return s.PostBuild
	}
	return Section{}
}

// Report is a group of files that tests have written.
type Report struct {
	Name   string   `json:"name"`
	Files  []string `json:"files"` // globs below Base
	Base   string   `json:"base,omitempty"`
	Format string   `json:"format"` // in capital letters
}

// Artifacts says which files of the workspace are kept.
type Artifacts struct {
	ID      string   `json:"id,omitempty"`   // of secondary ones
	Name    string   `json:"name,omitempty"` // as written: a shell fills it in when the build is over
	Base    string   `json:"base,omitempty"` // a folder, or a pattern of folders at the top such as build*
	Files   []string `json:"files"`
	Exclude []string `json:"exclude,omitempty"` // below Base
	Flat    bool     `json:"flat,omitempty"`    // discard-paths
}

// Findings are what there is to say of a file. With a mistake there is no Spec; a warning only says what has no effect.
type Findings struct {
	Mistakes []pipeline.Problem
	Warnings []pipeline.Problem
}
