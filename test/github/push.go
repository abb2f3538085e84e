package github

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Delete, given as the content of a file, removes the file.
const Delete = "\x00delete"

// Commit makes a commit on a branch and pushes it: the push webhook and, when
// the branch is the head of an open pull request, synchronize go out. The
// branch is made from the default branch when it is not there. Content that
// begins with #! becomes executable. The actor is made a person if need be.
func (s *Server) Commit(repo, branch, actor, message string, files map[string]string) (sha string, err error) {
	s.mu.Lock()
	r, err := s.must(repo)
	if err != nil {
		s.mu.Unlock()
		return "", err
	}
	s.mu.Unlock()
	r.git.writing.Lock()
	defer r.git.writing.Unlock()

	s.mu.Lock()
	user := s.account(actor, "User")
	ref := "refs/heads/" + branch
	old := r.refs[ref]
	parent := old
	if parent == "" {
		parent = r.refs["refs/heads/"+r.DefaultBranch]
	}
	who := user.signature(s)
	s.mu.Unlock()

	sha, err = r.git.importCommit(ref, parent, who, message, files)
	if err != nil {
		return "", fmt.Errorf("github: commit to %s %s: %w", repo, branch, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refsChanged(r, user, []refChange{{ref, old, sha}})
	return sha, nil
}

// ForcePush points a branch at a commit the repository already has, whether
// or not that is a fast-forward; an unknown branch is made.
func (s *Server) ForcePush(repo, branch, actor, sha string) error {
	return s.setRef(repo, "refs/heads/"+branch, actor, sha)
}

// Tag makes a lightweight tag.
func (s *Server) Tag(repo, tag, actor, sha string) error {
	return s.setRef(repo, "refs/tags/"+tag, actor, sha)
}

// DeleteBranch deletes a branch and closes the pull requests that came from
// it, as GitHub does.
func (s *Server) DeleteBranch(repo, branch, actor string) error {
	return s.setRef(repo, "refs/heads/"+branch, actor, "")
}

func (s *Server) setRef(repo, ref, actor, sha string) error {
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
	old := r.refs[ref]
	if sha == "" && old == "" {
		return fmt.Errorf("github: delete %s in %s: there is no such ref", ref, repo)
	}
	if sha != "" && r.git.commit(sha) == nil {
		return fmt.Errorf("github: point %s in %s to %s: there is no such commit", ref, repo, sha)
	}
	if err := r.git.update(map[string]string{ref: sha}); err != nil {
		return fmt.Errorf("github: point %s in %s to %s: %w", ref, repo, sha, err)
	}
	s.refsChanged(r, s.account(actor, "User"), []refChange{{ref, old, sha}})
	return nil
}

func (u *User) signature(s *Server) signature {
	return signature{name: u.Login, email: fmt.Sprintf("%d+%s@users.noreply.github.com", u.ID, u.Login), at: s.now()}
}

// importCommit writes blobs, trees, commit and ref in one process.
func (g *store) importCommit(ref, parent string, who signature, message string, files map[string]string) (string, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "feature done\ncommit %s\nmark :1\nauthor %s\ncommitter %s\ndata %d\n%s\n", ref, who, who, len(message), message)
	if parent != "" {
		fmt.Fprintf(&b, "from %s\n", parent)
	}
	names := make([]string, 0, len(files))
	for name := range files {
		if name == "" || path.Clean("/"+name) != "/"+name || strings.ContainsRune(name, 0) {
			return "", fmt.Errorf("%q is not a path in a repository", name)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	for _, name := range names {
		content := files[name]
		if content == Delete {
			fmt.Fprintf(&b, "D \"%s\"\n", quote.Replace(name))
			continue
		}
		if module, ok := strings.CutPrefix(content, submodule); ok {
			fmt.Fprintf(&b, "M 160000 %s \"%s\"\n", module, quote.Replace(name))
			continue
		}
		mode := "100644"
		if strings.HasPrefix(content, "#!") {
			mode = "100755"
		}
		fmt.Fprintf(&b, "M %s inline \"%s\"\ndata %d\n%s\n", mode, quote.Replace(name), len(content), content)
	}
	b.WriteString("get-mark :1\ndone\n")
	out, err := g.run(b.Bytes(), "fast-import", "--quiet", "--date-format=raw")
	return strings.TrimSpace(string(out)), err
}

// submodule begins what stands for a submodule among the files of a commit.
const submodule = "\x00submodule "

// Submodule stands for a commit of another repository, in the place of a
// file's text.
func Submodule(sha string) string { return submodule + sha }

// refChange is what a push did to one ref; "" is a ref that was not or is no
// longer.
type refChange struct{ ref, old, new string }

// refsChanged draws the consequences of a push: state, webhooks, check suites
// and pull requests. The repository's write lock and s.mu are held.
func (s *Server) refsChanged(r *Repo, actor *User, changes []refChange) {
	r.pushed = s.now()
	r.authors[strings.ToLower(actor.Login)] = true
	tags := 0
	for _, c := range changes {
		if c.old != "" {
			r.before[c.ref] = c.old
		}
		if c.new == "" {
			delete(r.refs, c.ref)
		} else {
			r.refs[c.ref] = c.new
		}
		if strings.HasPrefix(c.ref, "refs/tags/") {
			tags++
		}
	}
	for _, c := range changes {
		branch, isBranch := strings.CutPrefix(c.ref, "refs/heads/")
		tag, isTag := strings.CutPrefix(c.ref, "refs/tags/")
		// GitHub is silent about more than three tags, or 5,000 branches, at once.
		// https://docs.github.com/webhooks/webhook-events-and-payloads#push
		quiet := (isTag && tags > 3) || (isBranch && len(changes) > 5000)
		if !(isBranch || isTag) {
			continue
		}
		kind := "branch"
		if isTag {
			kind = "tag"
		}
		if !quiet {
			switch {
			case c.old == "":
				s.raise(event{name: "create", repo: r, sender: actor, payload: obj{"ref": branch + tag, "ref_type": kind,
					"master_branch": r.DefaultBranch, "description": nil, "pusher_type": "user"}})
			case c.new == "":
				s.raise(event{name: "delete", repo: r, sender: actor, payload: obj{"ref": branch + tag, "ref_type": kind, "pusher_type": "user"}})
			}
			s.raise(event{name: "push", repo: r, sender: actor, payload: s.pushPayload(r, actor, c)})
		}
		if isBranch {
			if c.new != "" {
				s.requestSuites(r, actor, branch, c.old, c.new)
			}
			s.branchMoved(r, actor, branch, c)
		}
	}
	s.changed.Broadcast()
}

// pushPayload is the push event. At most 2,048 commits are listed.
func (s *Server) pushPayload(r *Repo, actor *User, c refChange) obj {
	or := func(sha string) string {
		if sha == "" {
			return noSHA
		}
		return sha
	}
	forced := c.old != "" && c.new != "" && !r.git.isAncestor(c.old, c.new)
	commits := []any{}
	var head any
	compare := s.html("/%s/compare/%.12s...%.12s", r.FullName, or(c.old), or(c.new))
	if c.new != "" {
		for _, l := range s.newCommits(r, c) {
			commits = append(commits, s.renderPushCommit(r, l))
			if l.sha == c.new {
				head = commits[len(commits)-1]
			}
		}
		if head == nil {
			if tip, _ := r.git.log("-1", c.new); len(tip) == 1 {
				head = s.renderPushCommit(r, tip[0])
			}
		}
		if c.old == "" {
			compare = s.html("/%s/compare/%s", r.FullName, strings.TrimPrefix(strings.TrimPrefix(c.ref, "refs/heads/"), "refs/tags/"))
		}
	}
	return obj{"ref": c.ref, "before": or(c.old), "after": or(c.new), "created": c.old == "", "deleted": c.new == "", "forced": forced,
		"base_ref": nil, "compare": compare, "commits": commits, "head_commit": head, "repository": s.renderRepoForPush(r),
		"pusher": obj{"name": actor.Login, "email": actor.signature(s).email}}
}

// newCommits are those a push brought that no other branch had, oldest first.
func (s *Server) newCommits(r *Repo, c refChange) []logged {
	args := []string{"--reverse", "--max-count=2048", c.new}
	if c.old != "" {
		args = append(args, "^"+c.old)
	} else {
		for ref, sha := range r.refs {
			if ref != c.ref && strings.HasPrefix(ref, "refs/heads/") && sha != c.new {
				args = append(args, "^"+sha)
			} else if ref != c.ref && strings.HasPrefix(ref, "refs/heads/") {
				return nil // the branch stands where another does
			}
		}
	}
	list, _ := r.git.log(args...)
	return list
}

// logged is a commit with the files it touched.
type logged struct {
	*commit
	added, removed, modified []any
}

// log lists commits with their files; a merge is compared with its first
// parent.
func (g *store) log(args ...string) ([]logged, error) {
	args = append([]string{"log", "-z", "--no-renames", "--diff-merges=first-parent", "--name-status", "--format=%x01%H"}, args...)
	out, err := g.run(nil, append(args, "--")...)
	if err != nil {
		return nil, err
	}
	list := []logged{}
	for _, part := range strings.Split(string(out), "\x01") {
		fields := strings.Split(strings.Trim(part, "\x00\n"), "\x00")
		if len(fields[0]) < 40 {
			continue
		}
		l := logged{commit: g.commit(fields[0][:40]), added: []any{}, removed: []any{}, modified: []any{}}
		if l.commit == nil {
			continue
		}
		rest := fields[1:]
		for i := 0; i+1 < len(rest); i += 2 {
			switch strings.TrimSpace(rest[i]) {
			case "A":
				l.added = append(l.added, rest[i+1])
			case "D":
				l.removed = append(l.removed, rest[i+1])
			default:
				l.modified = append(l.modified, rest[i+1])
			}
		}
		list = append(list, l)
	}
	return list, nil
}

func (s *Server) renderPushCommit(r *Repo, l logged) obj {
	person := func(g signature) obj {
		o := obj{"name": g.name, "email": g.email, "date": stamp(g.at)}
		if u := s.userOfEmail(g); u != nil {
			o["username"] = u.Login
		}
		return o
	}
	return obj{"id": l.sha, "tree_id": l.tree, "distinct": true, "message": l.message, "timestamp": stamp(l.committer.at),
		"url": s.html("/%s/commit/%s", r.FullName, l.sha), "author": person(l.author), "committer": person(l.committer),
		"added": l.added, "removed": l.removed, "modified": l.modified}
}

// userOfEmail finds who an author is: by the no-reply address, or by name.
func (s *Server) userOfEmail(g signature) *User {
	if local, found := strings.CutSuffix(g.email, "@users.noreply.github.com"); found {
		if _, login, found := strings.Cut(local, "+"); found {
			return s.user(login)
		}
	}
	return s.user(g.name)
}
