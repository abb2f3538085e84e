// Package source brings a commit's files to a run.
//
// It is the contract: one mirror per repository, commits fetched by their id, files read at a commit without checking
// anything out, and a fresh writable copy of the tree for each step that costs no second clone. It never reads a branch
// name at a later time than the event that named it. The adapter is git; sourcetest proves it.
package source

import (
	"context"
	"errors"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// What the caller decides on.
var (
	ErrNoCommit = errors.New("source: the repository does not hold this commit")
	ErrNoFile   = errors.New("source: the commit does not hold this file")
	ErrTooLarge = errors.New("source: the file is larger than what is read")
	ErrUnusable = errors.New("source: this is never fetched") // a name or a commit that is dangerous: asking again is useless
)

// Token hands out a read-only token for one repository, at the moment when it is needed. It is called at most once per
// fetch. An empty token means an anonymous fetch.
type Token func(ctx context.Context) (string, error)

// Source gives access to repositories. All methods may be called concurrently and repeated.
type Source interface {
	// Fetch makes commit present in the repository's mirror. ref is where GitHub shows it (refs/heads/…, refs/pull/N/head)
	// and is only used where the server does not serve commits by id. A commit that is there already costs no network.
	Fetch(ctx context.Context, repo pipeline.Repo, ref string, commit pipeline.Commit, token Token) error

	// File reads a file as it stands at a fetched commit, at most limit bytes. ErrNoFile when it is not there,
	// ErrTooLarge when it has more.
	File(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit, path string, limit int64) ([]byte, error)

	// Workspace lays out a fresh, writable copy of the commit's tree, with other commits in the folders that parts name, all
	// of them fetched. id is unique among the workspaces that are open.
	Workspace(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit, id string, parts ...pipeline.Part) (Workspace, error)

	// Expect says that one more workspace of a fetched commit will be asked for soon. It returns at once, and what can be
	// prepared is prepared meanwhile; whether it is changes nothing but the time that Workspace takes.
	Expect(repo pipeline.Repo, commit pipeline.Commit, parts ...pipeline.Part)
}

// Workspace is a writable copy of a tree. Close removes every trace of it and may be repeated.
type Workspace interface {
	Dir() string
	Written() string // the folder that grows when the workspace is written to: Dir, or one that holds the changes only
	Close() error
}
