package github

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Pull is a pull request as it stood when it was handed out.
type Pull struct {
	ID, Number              int64
	Repo, Title, Body       string
	State                   string // "open" or "closed"
	Merged, Draft           bool
	HeadRepo, HeadRef       string // HeadRepo is "" when the fork is gone
	HeadSHA                 string
	BaseRef, BaseSHA        string
	MergeCommitSHA, HTMLURL string
	Author                  string
}

type pull struct {
	id          int64
	issue       *issue
	headRepo    *Repo
	headRef     string
	headSHA     string
	baseRef     string
	baseSHA     string
	draft       bool
	merged      time.Time
	mergedBy    *User
	mergeSHA    string // the test merge while open, the merge itself afterwards
	mergeable   bool
	mergedOn    string // the base commit that mergeSHA was made on
	reviews     []*review
	before      *pull // as it was before its last change, for stale reads
	statsOf     string
	commits     int
	plus, minus int
	files       int
}

// OpenPull opens a pull request. head is a branch of the repository, or
// owner:branch of a fork.
func (s *Server) OpenPull(repo, actor, title, head, base string) (Pull, error) {
	s.mu.Lock()
	r, err := s.must(repo)
	s.mu.Unlock()
	if err != nil {
		return Pull{}, err
	}
	r.git.writing.Lock()
	defer r.git.writing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	p, message := s.openPull(r, s.account(actor, "User"), title, "", head, base, false)
	if message == "head" || message == "base" {
		message = fmt.Sprintf("there is no %s branch %q or %q", message, head, base)
	}
	if message != "" {
		return Pull{}, fmt.Errorf("github: open a pull request in %s: %s", repo, message)
	}
	return s.copyPull(r, p), nil
}

func (s *Server) copyPull(r *Repo, p *pull) Pull {
	out := Pull{ID: p.id, Number: int64(p.issue.number), Repo: r.FullName, Title: p.issue.title, Body: p.issue.body, State: p.issue.State,
		Merged: !p.merged.IsZero(), Draft: p.draft, HeadRef: p.headRef, HeadSHA: p.headSHA, BaseRef: p.baseRef, BaseSHA: p.baseSHA,
		MergeCommitSHA: p.mergeSHA, Author: p.issue.author.Login, HTMLURL: s.html("/%s/pull/%d", r.FullName, p.issue.number)}
	if !p.headRepo.deleted {
		out.HeadRepo = p.headRepo.FullName
	}
	return out
}

// openPull returns GitHub's complaint instead when there is one.
func (s *Server) openPull(r *Repo, author *User, title, body, head, base string, draft bool) (*pull, string) {
	from := r
	if owner, branch, cross := strings.Cut(head, ":"); cross {
		head = branch
		if !strings.EqualFold(owner, r.Owner) {
			from = nil
			for _, f := range s.repos {
				if f.fork == r && strings.EqualFold(f.Owner, owner) && !f.deleted {
					from = f
				}
			}
		}
	}
	if from == nil || from.refs["refs/heads/"+head] == "" {
		return nil, "head"
	}
	if r.refs["refs/heads/"+base] == "" {
		return nil, "base"
	}
	for _, i := range r.issues {
		if p := i.pull; p != nil && i.State == "open" && p.headRepo == from && p.headRef == head && p.baseRef == base {
			return nil, fmt.Sprintf("A pull request already exists for %s:%s.", from.Owner, head)
		}
	}
	if from == r && r.git.isAncestor(r.refs["refs/heads/"+head], r.refs["refs/heads/"+base]) {
		return nil, fmt.Sprintf("No commits between %s and %s", base, head)
	}
	i := s.newIssue(r, author, title, body)
	p := &pull{id: s.next(), issue: i, headRepo: from, headRef: head, baseRef: base, draft: draft}
	i.pull = p
	s.setHead(r, p, from.refs["refs/heads/"+head])
	s.raisePull(r, p, "opened", author, nil)
	return p, ""
}

// setHead moves a pull request to a commit: refs/pull/N/head and the test
// merge follow. Commits of a fork are brought over first.
func (s *Server) setHead(r *Repo, p *pull, sha string) {
	if p.headRepo != r {
		ref := fmt.Sprintf("+%s:refs/pull/%d/head", sha, p.issue.number)
		if _, err := r.git.run(nil, "fetch", "--quiet", "--no-tags", p.headRepo.Dir, ref); err != nil {
			s.opt.Log.Error("bring a fork's commits over", "error", err)
		}
	}
	p.headSHA, p.baseSHA = sha, r.refs["refs/heads/"+p.baseRef]
	name := fmt.Sprintf("refs/pull/%d/head", p.issue.number)
	if err := r.git.update(map[string]string{name: sha}); err != nil {
		s.opt.Log.Error("move a pull request's ref", "error", err)
	}
	r.refs[name] = sha
	s.testMerge(r, p)
}

// testMerge makes refs/pull/N/merge anew. It is made when the head moves and
// when somebody reads the pull request, not when the base moves: there it
// goes stale, as on GitHub.
// https://docs.github.com/rest/guides/using-the-rest-api-to-interact-with-your-git-database#checking-mergeability-of-pull-requests
func (s *Server) testMerge(r *Repo, p *pull) {
	base := r.refs["refs/heads/"+p.baseRef]
	if base == "" || (p.mergedOn == base+p.headSHA) {
		return
	}
	p.mergedOn, p.mergeSHA = base+p.headSHA, ""
	name := fmt.Sprintf("refs/pull/%d/merge", p.issue.number)
	tree := r.git.mergeTree(base, p.headSHA)
	p.mergeable = tree != ""
	if !p.mergeable {
		if r.refs[name] != "" {
			delete(r.refs, name)
			_ = r.git.update(map[string]string{name: ""})
		}
		return
	}
	who := signature{name: "GitHub", email: "noreply@github.com", at: s.now()}
	sha, err := r.git.writeCommit(tree, []string{base, p.headSHA}, who, who, fmt.Sprintf("Merge %s into %s", p.headSHA, base))
	if err == nil {
		err = r.git.update(map[string]string{name: sha})
	}
	if err != nil {
		s.opt.Log.Error("make a test merge", "error", err)
		p.mergeable = false
		return
	}
	p.mergeSHA, r.refs[name] = sha, sha
}

func (p *pull) remember() {
	i, old := *p.issue, *p
	old.issue, old.before = &i, nil
	p.before = &old
}

// branchMoved tells pull requests about a push: those that come from the
// branch go along, those that go to it may be merged by it.
func (s *Server) branchMoved(r *Repo, actor *User, branch string, c refChange) {
	var brought map[string]bool // what the push added; asked for once, and only if need be
	holds := func(sha string) bool {
		if brought == nil {
			brought = map[string]bool{}
			args := []string{"rev-list", c.new}
			if c.old != "" {
				args = append(args, "^"+c.old)
			}
			out, _ := r.git.run(nil, args...)
			for _, k := range strings.Fields(string(out)) {
				brought[k] = true
			}
		}
		return brought[sha]
	}
	for _, to := range s.repos {
		for _, i := range to.issues {
			p := i.pull
			if p == nil || i.State != "open" || to.deleted {
				continue
			}
			switch {
			case p.headRepo == r && p.headRef == branch && c.new == "":
				s.closePull(to, p, actor)
			case p.headRepo == r && p.headRef == branch && to == r && r.git.isAncestor(c.new, r.refs["refs/heads/"+p.baseRef]) && p.headSHA != c.new:
				p.remember()
				s.setHead(to, p, c.new)
				s.closePull(to, p, actor) // nothing left to merge
			case p.headRepo == r && p.headRef == branch:
				p.remember()
				before := p.headSHA
				s.setHead(to, p, c.new)
				i.updated = s.now()
				s.raisePull(to, p, "synchronize", actor, obj{"before": before, "after": c.new})
			case to == r && p.baseRef == branch && c.new == "":
				s.closePull(to, p, actor)
			case to == r && p.baseRef == branch && holds(p.headSHA):
				s.merged(r, p, actor, c.new) // pushed by hand
			}
		}
	}
}

// ClosePull closes without merging.
func (s *Server) ClosePull(repo string, number int64, actor string) error {
	return s.onPull(repo, number, func(r *Repo, p *pull) error {
		if p.issue.State != "open" {
			return fmt.Errorf("github: close %s#%d: it is closed", repo, number)
		}
		s.closePull(r, p, s.account(actor, "User"))
		return nil
	})
}

// ReopenPull opens a closed one again, at the commit its branch has now.
func (s *Server) ReopenPull(repo string, number int64, actor string) error {
	return s.onPull(repo, number, func(r *Repo, p *pull) error {
		if p.issue.State == "open" || !p.merged.IsZero() || p.headRepo.refs["refs/heads/"+p.headRef] == "" {
			return fmt.Errorf("github: reopen %s#%d: it is open, merged, or its branch is gone", repo, number)
		}
		s.reopenPull(r, p, s.account(actor, "User"))
		return nil
	})
}

// EditPull changes title or body, and the base when base is not empty.
func (s *Server) EditPull(repo string, number int64, actor, title, body, base string) error {
	return s.onPull(repo, number, func(r *Repo, p *pull) error {
		if base != "" && r.refs["refs/heads/"+base] == "" {
			return fmt.Errorf("github: edit %s#%d: there is no branch %s", repo, number, base)
		}
		s.editPull(r, p, s.account(actor, "User"), title, body, base)
		return nil
	})
}

func (s *Server) onPull(repo string, number int64, do func(*Repo, *pull) error) error {
	s.mu.Lock()
	r, err := s.must(repo)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	r.git.writing.Lock()
	defer r.git.writing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	i := r.issue(int(number))
	if i == nil || i.pull == nil {
		return fmt.Errorf("github: there is no pull request %s#%d", repo, number)
	}
	defer s.changed.Broadcast()
	return do(r, i.pull)
}

func (s *Server) closePull(r *Repo, p *pull, actor *User) {
	p.remember()
	p.issue.State, p.issue.closed, p.issue.closedBy, p.issue.updated = "closed", s.now(), actor, s.now()
	s.raisePull(r, p, "closed", actor, nil)
}

func (s *Server) reopenPull(r *Repo, p *pull, actor *User) {
	p.remember()
	p.issue.State, p.issue.closed, p.issue.closedBy, p.issue.updated = "open", time.Time{}, nil, s.now()
	if tip := p.headRepo.refs["refs/heads/"+p.headRef]; tip != "" {
		s.setHead(r, p, tip)
	}
	s.raisePull(r, p, "reopened", actor, nil)
}

func (s *Server) editPull(r *Repo, p *pull, actor *User, title, body, base string) {
	p.remember()
	changes := obj{}
	if title != "" && title != p.issue.title {
		changes["title"], p.issue.title = obj{"from": p.issue.title}, title
	}
	if body != "" && body != p.issue.body {
		changes["body"], p.issue.body = obj{"from": p.issue.body}, body
	}
	if base != "" && base != p.baseRef {
		changes["base"] = obj{"ref": obj{"from": p.baseRef}, "sha": obj{"from": p.baseSHA}}
		p.baseRef, p.mergedOn = base, ""
		p.baseSHA = r.refs["refs/heads/"+base]
		s.testMerge(r, p)
	}
	p.issue.updated = s.now()
	if len(changes) > 0 {
		s.raisePull(r, p, "edited", actor, obj{"changes": changes})
	}
}

// Merge merges with a merge commit and returns its SHA. The webhooks
// pull_request closed (merged) and push on the base go out.
func (s *Server) Merge(repo string, number int64, actor string) (string, error) {
	var sha string
	err := s.onPull(repo, number, func(r *Repo, p *pull) error {
		var err error
		sha, err = s.merge(r, p, s.account(actor, "User"), "merge", "", "")
		return err
	})
	return sha, err
}

// merge makes the commit of one of the methods merge and squash.
func (s *Server) merge(r *Repo, p *pull, actor *User, method, title, message string) (string, error) {
	n, base := p.issue.number, r.refs["refs/heads/"+p.baseRef]
	tree := ""
	if p.issue.State == "open" && base != "" {
		tree = r.git.mergeTree(base, p.headSHA)
	}
	if tree == "" {
		return "", fmt.Errorf("github: merge %s#%d: it is closed, or it conflicts with %s", r.FullName, n, p.baseRef)
	}
	parents, who := []string{base, p.headSHA}, actor.signature(s)
	web := signature{name: "GitHub", email: "noreply@github.com", at: s.now()}
	if title == "" {
		title = fmt.Sprintf("Merge pull request #%d from %s/%s", n, p.headRepo.Owner, p.headRef)
	}
	if message == "" {
		message = p.issue.title
	}
	if method == "squash" {
		parents, message = parents[:1], p.issue.body
		if strings.HasPrefix(title, "Merge pull request #") {
			title = fmt.Sprintf("%s (#%d)", p.issue.title, n)
		}
	}
	sha, err := r.git.writeCommit(tree, parents, who, web, strings.TrimSpace(title+"\n\n"+message))
	ref := "refs/heads/" + p.baseRef
	if err == nil {
		err = r.git.update(map[string]string{ref: sha})
	}
	if err != nil {
		return "", fmt.Errorf("github: merge %s#%d: %w", r.FullName, n, err)
	}
	s.merged(r, p, actor, sha)
	s.refsChanged(r, actor, []refChange{{ref, base, sha}})
	return sha, nil
}

func (s *Server) merged(r *Repo, p *pull, actor *User, sha string) {
	p.stats(r)
	p.remember()
	p.issue.State, p.issue.closed, p.issue.closedBy, p.issue.updated = "closed", s.now(), actor, s.now()
	p.merged, p.mergedBy, p.mergeSHA = s.now(), actor, sha
	s.raisePull(r, p, "closed", actor, nil)
}

var shortStat = regexp.MustCompile(`(\d+) (file|insertion|deletion)`)

// stats counts commits and lines, once for each pair of head and base.
func (p *pull) stats(r *Repo) {
	base := p.baseSHA
	if p.statsOf == base+p.headSHA || !p.merged.IsZero() {
		return
	}
	p.statsOf, p.files, p.plus, p.minus = base+p.headSHA, 0, 0, 0
	out, _ := r.git.run(nil, "rev-list", "--count", base+".."+p.headSHA)
	p.commits, _ = strconv.Atoi(strings.TrimSpace(string(out)))
	out, _ = r.git.run(nil, "diff", "--shortstat", base+"..."+p.headSHA)
	for _, m := range shortStat.FindAllStringSubmatch(string(out), -1) {
		n, _ := strconv.Atoi(m[1])
		switch m[2] {
		case "file":
			p.files = n
		case "insertion":
			p.plus = n
		default:
			p.minus = n
		}
	}
}
