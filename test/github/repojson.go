package github

// renderRepo is a repository as lists, webhooks and pull requests show it.
func (s *Server) renderRepo(r *Repo) obj {
	at := s.api("/repos/%s", r.FullName)
	var openIssues, forks int
	for _, i := range r.issues {
		if i.State == "open" {
			openIssues++
		}
	}
	for _, other := range s.repos {
		if other.fork == r && !other.deleted {
			forks++
		}
	}
	pushed := stamp(r.pushed)
	if r.pushed.IsZero() {
		pushed = stamp(r.made)
	}
	visibility := "public"
	if r.Private {
		visibility = "private"
	}
	return obj{
		"id": r.ID, "node_id": nodeID("R", r.ID), "name": r.Name, "full_name": r.FullName, "private": r.Private,
		"owner": s.renderUser(s.user(r.Owner)), "html_url": r.HTMLURL, "description": nil, "fork": r.fork != nil, "url": at,
		"forks_url": at + "/forks", "keys_url": at + "/keys{/key_id}", "collaborators_url": at + "/collaborators{/collaborator}",
		"teams_url": at + "/teams", "hooks_url": at + "/hooks", "issue_events_url": at + "/issues/events{/number}",
		"events_url": at + "/events", "assignees_url": at + "/assignees{/user}", "branches_url": at + "/branches{/branch}",
		"tags_url": at + "/tags", "blobs_url": at + "/git/blobs{/sha}", "git_tags_url": at + "/git/tags{/sha}",
		"git_refs_url": at + "/git/refs{/sha}", "trees_url": at + "/git/trees{/sha}", "statuses_url": at + "/statuses/{sha}",
		"languages_url": at + "/languages", "stargazers_url": at + "/stargazers", "contributors_url": at + "/contributors",
		"subscribers_url": at + "/subscribers", "subscription_url": at + "/subscription", "commits_url": at + "/commits{/sha}",
		"git_commits_url": at + "/git/commits{/sha}", "comments_url": at + "/comments{/number}",
		"issue_comment_url": at + "/issues/comments{/number}", "contents_url": at + "/contents/{+path}",
		"compare_url": at + "/compare/{base}...{head}", "merges_url": at + "/merges", "archive_url": at + "/{archive_format}{/ref}",
		"downloads_url": at + "/downloads", "issues_url": at + "/issues{/number}", "pulls_url": at + "/pulls{/number}",
		"milestones_url": at + "/milestones{/number}", "notifications_url": at + "/notifications{?since,all,participating}",
		"labels_url": at + "/labels{/name}", "releases_url": at + "/releases{/id}", "deployments_url": at + "/deployments",
		"created_at": stamp(r.made), "updated_at": pushed, "pushed_at": pushed,
		"git_url": "git:" + r.CloneURL[5:], "ssh_url": "git@" + s.base[7:] + ":" + r.FullName + ".git", "clone_url": r.CloneURL, "svn_url": r.HTMLURL,
		"homepage": nil, "size": 0, "stargazers_count": 0, "watchers_count": 0, "language": nil, "has_issues": true, "has_projects": true,
		"has_downloads": true, "has_wiki": true, "has_pages": false, "has_discussions": false, "forks_count": forks, "mirror_url": nil,
		"archived": false, "disabled": false, "open_issues_count": openIssues, "license": nil, "allow_forking": true, "is_template": false,
		"web_commit_signoff_required": false, "topics": []any{}, "visibility": visibility, "forks": forks, "open_issues": openIssues,
		"watchers": 0, "default_branch": r.DefaultBranch,
	}
}

// renderRepoFull is GET /repos/{owner}/{repo}.
func (s *Server) renderRepoFull(r *Repo, who *identity) obj {
	o := s.renderRepo(r)
	o["network_count"], o["subscribers_count"], o["temp_clone_token"] = o["forks"], 0, nil
	for k, v := range (obj{"allow_merge_commit": true, "allow_squash_merge": true, "allow_rebase_merge": false,
		"allow_auto_merge": false, "delete_branch_on_merge": false, "allow_update_branch": false}) {
		o[k] = v
	}
	if who.kind == "user" {
		o["permissions"] = permissionFlags(s.role(who.user, r))
	}
	if owner := s.user(r.Owner); owner.Kind == "Organization" {
		o["organization"] = s.renderUser(owner)
	}
	if r.fork != nil {
		o["parent"], o["source"] = s.renderRepo(r.fork), s.renderRepo(r.fork)
	}
	return o
}

// renderRepoShort is a repository as installation webhooks list it.
func (s *Server) renderRepoShort(r *Repo) obj {
	return obj{"id": r.ID, "node_id": nodeID("R", r.ID), "name": r.Name, "full_name": r.FullName, "private": r.Private}
}

// renderRepoForPush differs in its times, which are numbers there, and in its
// owner, which has a name and an address.
func (s *Server) renderRepoForPush(r *Repo) obj {
	o := s.renderRepo(r)
	o["created_at"] = r.made.Unix()
	o["pushed_at"] = r.pushed.Unix()
	o["stargazers"], o["master_branch"] = 0, r.DefaultBranch
	owner := s.renderUser(s.user(r.Owner))
	owner["name"], owner["email"] = r.Owner, nil
	o["owner"] = owner
	if s.user(r.Owner).Kind == "Organization" {
		o["organization"] = r.Owner
	}
	return o
}
