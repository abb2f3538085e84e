package pipeline

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
)

// Digest names bytes by their hash, "sha256:" followed by 64 lower-case hex digits.
type Digest string

// Valid reports whether d has the one form that is ever written.
func (d Digest) Valid() bool {
	hex, ok := strings.CutPrefix(string(d), "sha256:")
	return ok && isHex(hex, 64)
}

// Short is the first twelve hex digits, for people.
func (d Digest) Short() string { return cut(strings.TrimPrefix(string(d), "sha256:"), 12) }

// Commit is a full Git commit id, 40 lower-case hex digits. Branch names and short ids are never commits.
type Commit string

// Valid reports whether c is a full commit id. Everything that reaches Git is asked this first.
func (c Commit) Valid() bool { return isHex(string(c), 40) }

// Short is the first seven hex digits, as GitHub shows them.
func (c Commit) Short() string { return cut(string(c), 7) }

func isHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') }) < 0
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// Repo is a repository at GitHub. ID is its identity: owner and name change when it is renamed or moved.
type Repo struct {
	ID           int64  `json:"id"`
	Owner        string `json:"owner"`
	Name         string `json:"name"`
	Installation int64  `json:"installation"`
	Branch       string `json:"branch,omitempty"` // the default branch
}

// Slug is "owner/name", for people and for GitHub's addresses.
func (r Repo) Slug() string { return r.Owner + "/" + r.Name }

// Actor is a person or an App at GitHub. ID is the identity; a login can be given to someone else.
type Actor struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Bot   bool   `json:"bot,omitempty"`
}

// RunID names a run: "run/<repository id>/<delivery>". It is the name of the run's stream, too.
type RunID string

// NewRunID names the run that a delivery started in a repository. The same delivery always gives the same name, so
// that a redelivery can never start a second run.
func NewRunID(repo int64, delivery string) RunID {
	return RunID(fmt.Sprintf("run/%d/%s", repo, delivery))
}

// For names the run of one of the repository's pipelines, by what the same delivery started. The pipeline of PlanPath has
// no name, and its run is called after the delivery alone.
func (r RunID) For(pipeline string) RunID {
	if pipeline == "" {
		return r
	}
	return r + "." + RunID(FileWord(pipeline))
}

// FileWord is a step's name as a part of a file's name. Names of one word are themselves; others, which a matrix gives,
// end with a hash, so that no two of them are ever the same.
func FileWord(step string) string {
	word := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '-'
	}, step)
	if word == step && len(word) <= 100 {
		return word
	}
	sum := sha256.Sum256([]byte(step))
	return fmt.Sprintf("%s-%x", strings.Trim(cut(word, 60), "-_"), sum[:6])
}

// Duration is a time.Duration that plan files write as "90s", "5m", "24h" or "7d".
type Duration time.Duration

// Std is d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// Renamed is the same repository with what is known of its new name, owner, installation and default branch.
func (r Repo) Renamed(to Repo) Repo {
	if r.ID != 0 && to.ID != r.ID {
		return r
	}
	r.ID = to.ID
	if to.Owner != "" && to.Name != "" {
		r.Owner, r.Name = to.Owner, to.Name
	}
	if to.Branch != "" {
		r.Branch = to.Branch
	}
	if to.Installation != 0 {
		r.Installation = to.Installation
	}
	return r
}
