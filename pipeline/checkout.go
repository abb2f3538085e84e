package pipeline

import (
	"slices"
	"strings"
	"time"
)

// SourceSpec says what a step's workspace holds besides the commit's own files, and what of a pull request is tested. The
// zero value is the commit as it stands.
type SourceSpec struct {
	Submodules bool      `json:"submodules,omitempty"` // their folders are filled
	LFS        bool      `json:"lfs,omitempty"`        // files in Git LFS are the files, and not their pointers
	Merge      bool      `json:"merge,omitempty"`      // a pull request is tested as it would be once it is merged
	History    bool      `json:"history,omitempty"`    // the workspace is a repository of Git, with all commits behind its own
	With       []FromRef `json:"with,omitempty"`       // other repositories
}

// FromRef names another repository as the plan does: by what its ref shows when the run first needs it.
type FromRef struct {
	Repository string `json:"repository"`    // owner/name
	Ref        string `json:"ref,omitempty"` // a branch, a tag or a full commit id; empty for the default branch
	Path       string `json:"path"`          // the folder of the workspace that it is placed in
}

// Extra reports whether a workspace needs more than the commit's own files.
func (s SourceSpec) Extra() bool { return s.Submodules || s.LFS || s.History || len(s.With) > 0 }

// Part is what a workspace has in one folder besides the commit's own files: a submodule or another repository, at the one
// commit that it has in this run.
type Part struct {
	Path   string `json:"path"` // from the top of the workspace; empty stands for the run's own repository
	Repo   Repo   `json:"repo"`
	Commit Commit `json:"commit"`
	LFS    bool   `json:"lfs,omitempty"` // its pointers are replaced by the files in Git LFS
	// Of the run's own repository: the workspace is a repository of Git, with all commits behind its own.
	History bool `json:"history,omitempty"`
}

// Merge is what a pull request would be once it is merged: a commit of our own with exactly two parents, its base and its
// head. It is made again from what stands here, always as the same commit.
type Merge struct {
	Base     Commit    `json:"base"`
	Head     Commit    `json:"head"`
	Ancestor Commit    `json:"ancestor,omitempty"` // the commit that both come from
	Commit   Commit    `json:"commit,omitempty"`   // empty when they cannot be merged
	Why      string    `json:"why,omitempty"`      // why they cannot, in words
	At       time.Time `json:"at"`                 // the time that the commit names
}

// partsResolved notes what the parts of the workspaces are in this run. The first word counts, as with images.
func (s State) partsResolved(e SourceResolved) State {
	if s.PartsKnown || s.Run == "" {
		return s
	}
	s.PartsKnown, s.Parts = true, slices.Clone(e.Parts)
	return s
}

// Checkout is the commit that steps are given: the trigger's, or its merge with the base.
func (s State) Checkout() Commit {
	if s.Merge != nil && s.Merge.Commit != "" {
		return s.Merge.Commit
	}
	return s.Trigger.Commit
}

// unmerged says why there is nothing to test, where the merge of a pull request is to be tested and cannot be made.
func (s State) unmerged() string {
	if s.Merge == nil || s.Merge.Commit != "" {
		return ""
	}
	return s.Merge.Why
}

// Conflict is the sentence that people read about files that cannot be merged.
func Conflict(base string, files []string) string {
	const most = 5
	shown := files[:min(len(files), most)]
	words := "cannot be merged into " + base + ": resolve the conflicts in " + strings.Join(shown, ", ")
	if len(files) > most {
		words += " and others"
	}
	return words
}
