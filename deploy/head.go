package deploy

import (
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Head is a commit that a pull request's head was, or its merge, with the times of its push: what people could see when
// they wrote a comment hangs on it.
type Head struct {
	Commit pipeline.Commit
	Said   time.Time // GitHub's time
	Seen   time.Time // ours
	By     pipeline.Actor
}

// keepHeads is how many heads of a pull request are remembered.
const keepHeads = 20

// heads are the heads of a pull request, with what has come since. A head that comes back is a push of its own.
func heads(old Pull, e PullSeen) []Head {
	all := append([]Head(nil), old.Heads...)
	if e.Head != "" && e.Head != old.Head {
		all = append(all, Head{Commit: e.Head, Said: e.Updated, Seen: e.Seen, By: e.Sender})
	}
	if e.Merged && e.MergeCommit != old.MergeCommit {
		all = append(all, Head{Commit: e.MergeCommit, Said: e.Updated, Seen: e.Seen})
	}
	return all[max(len(all)-keepHeads, 0):]
}

// tooSoon says why a command that names no commit cannot have meant what it is taken for: it was written before the push
// or the merge was known here, or so soon after the push that nobody can have read it. By which of both clocks, the
// stricter one counts; GitHub's tells whole seconds. Nobody can push to what is merged, so that there is no window then.
func (s State) tooSoon(c Command, window time.Duration) string {
	pull := s.Pulls[c.Pull]
	if c.Commit != "" || len(pull.Heads) == 0 {
		return ""
	}
	head, how := pull.Heads[len(pull.Heads)-1], "push"
	if pull.Merged {
		how, window = "merge", 0
	}
	known := head.Said
	if seen := head.Seen.Add(-time.Second); seen.After(known) {
		known = seen
	}
	switch {
	case c.At.Before(known):
		return fmt.Sprintf("This comment was written before the %s of %s was heard of, and names no commit.", how, head.Commit.Short())
	case c.At.Before(known.Add(window)):
		return fmt.Sprintf("%s was pushed less than %s before this comment, which names no commit: it may mean what was there before.",
			head.Commit.Short(), inWords(window))
	}
	return ""
}

func inWords(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	}
	return fmt.Sprintf("%d seconds", int(d.Seconds()))
}

// ambiguous reports whether the beginning of a commit's id stands for another known commit, too. Someone who can push can
// make a commit whose id begins as they like.
func (s State) ambiguous(short string, c pipeline.Commit) bool {
	if short == "" || len(short) >= len(c) {
		return false
	}
	other := func(d pipeline.Commit) bool { return d != c && strings.HasPrefix(string(d), short) }
	for _, p := range s.Pulls {
		if other(p.Head) || other(p.MergeCommit) {
			return true
		}
		for _, h := range p.Heads {
			if other(h.Commit) {
				return true
			}
		}
	}
	for _, b := range s.Builds {
		if other(b.Commit) {
			return true
		}
	}
	return false
}
