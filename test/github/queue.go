package github

import "fmt"

// Group is what the merge queue would make of a base: one commit on a branch
// of its own, for which checks are asked.
type Group struct {
	Repo          string
	Ref, HeadSHA  string
	Base, BaseSHA string
	Pulls         []int64
}

// Enqueue puts pull requests of one base into the merge queue, as one group.
// The branch is pushed and merge_group checks_requested goes out.
//
// https://docs.github.com/repositories/configuring-branches-and-merges-in-your-repository/configuring-pull-request-merges/managing-a-merge-queue
func (s *Server) Enqueue(repo, actor string, numbers ...int64) (Group, error) {
	var g Group
	err := s.onPull(repo, numbers[0], func(r *Repo, first *pull) error {
		base := r.refs["refs/heads/"+first.baseRef]
		head := base
		for _, n := range numbers {
			i := r.issue(int(n))
			if i == nil || i.pull == nil || i.State != "open" || i.pull.baseRef != first.baseRef {
				return fmt.Errorf("github: enqueue %s#%d: it is no open pull request into %s", repo, n, first.baseRef)
			}
			tree := r.git.mergeTree(head, i.pull.headSHA)
			if tree == "" {
				return fmt.Errorf("github: enqueue %s#%d: it conflicts", repo, n)
			}
			web := signature{name: "GitHub", email: "noreply@github.com", at: s.now()}
			sha, err := r.git.writeCommit(tree, []string{head, i.pull.headSHA}, i.pull.issue.author.signature(s), web,
				fmt.Sprintf("Merge pull request #%d from %s/%s\n\n%s", n, i.pull.headRepo.Owner, i.pull.headRef, i.title))
			if err != nil {
				return err
			}
			head = sha
		}
		last := numbers[len(numbers)-1]
		g = Group{Repo: repo, Ref: fmt.Sprintf("refs/heads/gh-readonly-queue/%s/pr-%d-%s", first.baseRef, last, base), HeadSHA: head,
			Base: first.baseRef, BaseSHA: base, Pulls: numbers}
		if err := r.git.update(map[string]string{g.Ref: head}); err != nil {
			return err
		}
		user := s.account(actor, "User")
		s.refsChanged(r, user, []refChange{{g.Ref, "", head}})
		s.raiseGroup(r, user, g, "checks_requested", nil)
		return nil
	})
	return g, err
}

// LeaveQueue ends a group: merged makes its commit the base's head and its
// pull requests merged; dequeued and invalidated change nothing. The branch
// goes, and merge_group destroyed goes out.
func (s *Server) LeaveQueue(g Group, actor, reason string) error {
	return s.onPull(g.Repo, g.Pulls[0], func(r *Repo, _ *pull) error {
		user := s.account(actor, "User")
		ref := "refs/heads/" + g.Base
		changes := []refChange{{g.Ref, g.HeadSHA, ""}}
		refs := map[string]string{g.Ref: ""}
		if reason == "merged" {
			if r.refs[ref] != g.BaseSHA {
				return fmt.Errorf("github: merge %s: %s has moved on", g.Ref, g.Base)
			}
			refs[ref] = g.HeadSHA
			changes = append([]refChange{{ref, g.BaseSHA, g.HeadSHA}}, changes...)
		}
		if err := r.git.update(refs); err != nil {
			return err
		}
		s.raiseGroup(r, user, g, "destroyed", obj{"reason": reason})
		if reason == "merged" {
			for _, n := range g.Pulls {
				s.merged(r, r.issue(int(n)).pull, user, g.HeadSHA)
			}
		}
		s.refsChanged(r, user, changes)
		return nil
	})
}

func (s *Server) raiseGroup(r *Repo, actor *User, g Group, action string, extra obj) {
	k := r.git.commit(g.HeadSHA)
	person := func(g signature) obj { return obj{"name": g.name, "email": g.email} }
	payload := obj{"merge_group": obj{
		"head_sha": g.HeadSHA, "head_ref": g.Ref, "base_sha": g.BaseSHA, "base_ref": "refs/heads/" + g.Base,
		"head_commit": obj{"id": k.sha, "tree_id": k.tree, "message": k.message, "timestamp": stamp(k.committer.at),
			"author": person(k.author), "committer": person(k.committer)},
	}}
	for name, v := range extra {
		payload[name] = v
	}
	s.raise(event{name: "merge_group", action: action, repo: r, sender: actor, payload: payload})
}
