package github

import "slices"

// Protection is what a branch asks of those who merge into it.
type Protection struct {
	Checks  []RequiredCheck
	Ruleset bool // by a ruleset of the repository; else by the older branch protection
	Queue   bool // merges go through a queue; only a ruleset can tell
}

// RequiredCheck is a check that must pass.
type RequiredCheck struct {
	Name string
	App  string // slug of the App that must pass it; empty is anyone
}

// Protect protects a branch of a repository, as an administrator does on its settings page. What was there before ends.
// It does nothing where there is no such repository or App, which a test then sees.
func (s *Server) Protect(repo, branch string, p Protection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, err := s.must(repo); err == nil {
		p.Checks = slices.Clone(p.Checks)
		r.rules[branch] = &p
	}
	s.changed.Broadcast()
}

// number of the App that must pass a check; 0 is anyone.
func (s *Server) number(check RequiredCheck) int64 {
	if a := s.app(check.App); a != nil {
		return a.ID
	}
	return 0
}

// renderProtection is what anyone who reads the branch sees of its protection.
func (c *call) renderProtection(branch string) obj {
	required := obj{"enforcement_level": "off", "contexts": []any{}, "checks": []any{}}
	p := c.repo.rules[branch]
	if p == nil || p.Ruleset {
		return obj{"enabled": p != nil, "required_status_checks": required}
	}
	contexts, checks := []any{}, []any{}
	for _, check := range p.Checks {
		var app any
		if id := c.s.number(check); id != 0 {
			app = id
		}
		contexts, checks = append(contexts, check.Name), append(checks, obj{"context": check.Name, "app_id": app})
	}
	required["enforcement_level"], required["contexts"], required["checks"] = "non_admins", contexts, checks
	return obj{"enabled": true, "required_status_checks": required}
}

// branchRules are the rules of rulesets, for anyone who reads the repository.
// https://docs.github.com/rest/repos/rules#get-rules-for-a-branch
func (c *call) branchRules() answer {
	out := []any{}
	p := c.repo.rules[c.param["branch"]]
	if p == nil {
		return ok(out)
	}
	rule := func(kind string, parameters obj) {
		out = append(out, obj{"type": kind, "parameters": parameters, "ruleset_source_type": "Repository", "ruleset_source": c.repo.FullName, "ruleset_id": 42})
	}
	if p.Ruleset && len(p.Checks) > 0 {
		checks := []any{}
		for _, check := range p.Checks {
			o := obj{"context": check.Name}
			if id := c.s.number(check); id != 0 {
				o["integration_id"] = id
			}
			checks = append(checks, o)
		}
		rule("required_status_checks", obj{"required_status_checks": checks, "strict_required_status_checks_policy": false})
	}
	if p.Queue {
		rule("merge_queue", obj{"check_response_timeout_minutes": 60, "grouping_strategy": "ALLGREEN", "max_entries_to_build": 5,
			"max_entries_to_merge": 5, "merge_method": "MERGE", "min_entries_to_merge": 1, "min_entries_to_merge_wait_minutes": 5})
	}
	return ok(out)
}
