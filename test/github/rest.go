package github

// restRoutes are all endpoints. Where two patterns match the first one wins:
// those with slashes in a parameter come last among their kind.
func restRoutes() []*route {
	const repo = "/repos/{owner}/{repo}"
	read := func(name string) need { return holding(name + ":read") }
	write := func(name string) need { return holding(name + ":write") }
	// A comment on a pull request is both the issue's and the pull's; anybody
	// who can read may write one.
	talk := holding("issues:write", "pull_requests:write").orRole("read")
	listen := holding("issues:read", "pull_requests:read")
	sort := holding("issues:write", "pull_requests:write").orRole("triage")
	checks := write("checks").onlyApps()
	return []*route{
		on("GET", "/", anyone, (*call).root),
		on("GET", "/meta", anyone, (*call).meta),
		on("GET", "/rate_limit", anyone, (*call).rateLimit),
		on("GET", "/user", asUser, (*call).getSelf),
		on("GET", "/users/{username}", anyone, (*call).getUser),

		on("GET", "/app", asApp, (*call).getApp),
		on("POST", "/app-manifests/{code}/conversions", anyone, (*call).convert),
		on("GET", "/app/hook/config", asApp, (*call).hookConfig),
		on("PATCH", "/app/hook/config", asApp, (*call).setHookConfig),
		on("GET", "/app/hook/deliveries", asApp, (*call).listDeliveries),
		on("GET", "/app/hook/deliveries/{delivery_id}", asApp, (*call).getDelivery),
		on("POST", "/app/hook/deliveries/{delivery_id}/attempts", asApp, (*call).redeliver),
		on("GET", "/app/installations", asApp, (*call).listInstallations),
		on("GET", "/app/installations/{installation_id}", asApp, (*call).getInstallation),
		on("DELETE", "/app/installations/{installation_id}", asApp, (*call).deleteInstallation),
		on("POST", "/app/installations/{installation_id}/access_tokens", asApp, (*call).createToken),
		on("PUT", "/app/installations/{installation_id}/suspended", asApp, func(c *call) answer { return c.suspendInstallation(true) }),
		on("DELETE", "/app/installations/{installation_id}/suspended", asApp, func(c *call) answer { return c.suspendInstallation(false) }),
		on("GET", "/apps/{app_slug}", anyone, (*call).getAppBySlug),
		on("GET", "/orgs/{org}/installation", asApp, (*call).installationFor),
		on("GET", "/users/{username}/installation", asApp, (*call).installationFor),
		on("GET", repo+"/installation", asApp, (*call).installationFor),
		on("GET", "/installation/repositories", asInstallation, (*call).installationRepos),
		on("DELETE", "/installation/token", asInstallation, (*call).revokeToken),

		on("GET", "/orgs/{org}", anyone, (*call).getOrg),
		on("GET", "/orgs/{org}/members/{username}", read("members"), (*call).checkMember),
		on("GET", "/orgs/{org}/memberships/{username}", read("members"), (*call).orgMembership),
		on("GET", "/orgs/{org}/teams", read("members"), (*call).listTeams),
		on("GET", "/orgs/{org}/teams/{team_slug}", read("members"), (*call).getTeam),
		on("GET", "/orgs/{org}/teams/{team_slug}/members", read("members"), (*call).listTeamMembers),
		on("GET", "/orgs/{org}/teams/{team_slug}/memberships/{username}", read("members"), (*call).teamMembership),

		on("GET", repo, read("metadata"), (*call).getRepo),
		on("GET", repo+"/collaborators", read("metadata").orRole("write"), (*call).listCollaborators),
		on("GET", repo+"/collaborators/{username}", read("metadata").orRole("write"), (*call).checkCollaborator),
		on("GET", repo+"/collaborators/{username}/permission", read("metadata"), (*call).permissionOf),

		on("POST", repo+"/check-runs", checks, (*call).createRun),
		on("GET", repo+"/check-runs/{check_run_id}", read("checks"), (*call).getRun),
		on("PATCH", repo+"/check-runs/{check_run_id}", checks, (*call).updateRun),
		on("GET", repo+"/check-runs/{check_run_id}/annotations", read("checks"), (*call).runAnnotations),
		on("POST", repo+"/check-runs/{check_run_id}/rerequest", write("checks"), (*call).rerequestRun),
		on("POST", repo+"/check-suites", checks, (*call).createSuite),
		on("GET", repo+"/check-suites/{check_suite_id}", read("checks"), (*call).getSuite),
		on("GET", repo+"/check-suites/{check_suite_id}/check-runs", read("checks"), (*call).runsOfSuite),
		on("POST", repo+"/check-suites/{check_suite_id}/rerequest", write("checks"), (*call).rerequestSuite),
		on("GET", repo+"/commits/{ref...}/check-runs", read("checks"), (*call).runsOfRef),
		on("GET", repo+"/commits/{ref...}/check-suites", read("checks"), (*call).suitesOfRef),

		on("POST", repo+"/statuses/{sha}", write("statuses"), (*call).createStatus),
		on("POST", repo+"/code-scanning/sarifs", write("security_events"), (*call).uploadSARIF),
		on("GET", repo+"/code-scanning/sarifs/{sarif_id...}", read("security_events"), (*call).getSARIF),
		on("GET", repo+"/commits/{ref...}/status", read("statuses"), (*call).combinedStatus),
		on("GET", repo+"/commits/{ref...}/statuses", read("statuses"), (*call).listStatuses),

		on("GET", repo+"/deployments", read("deployments"), (*call).listDeployments),
		on("POST", repo+"/deployments", write("deployments"), (*call).createDeployment).locked(),
		on("GET", repo+"/deployments/{deployment_id}", read("deployments"), (*call).getDeployment),
		on("DELETE", repo+"/deployments/{deployment_id}", write("deployments"), (*call).deleteDeployment),
		on("GET", repo+"/deployments/{deployment_id}/statuses", read("deployments"), (*call).listDeploymentStatuses),
		on("POST", repo+"/deployments/{deployment_id}/statuses", write("deployments"), (*call).createDeploymentStatus),
		on("GET", repo+"/deployments/{deployment_id}/statuses/{status_id}", read("deployments"), (*call).getDeploymentStatus),
		on("GET", repo+"/environments", holding("actions:read", "deployments:read", "environments:read"), (*call).listEnvironments),
		on("GET", repo+"/environments/{environment_name...}", holding("actions:read", "deployments:read", "environments:read"), (*call).getEnvironment),
		on("DELETE", repo+"/environments/{environment_name...}", write("administration").orRole("admin"), (*call).deleteEnvironment),

		on("POST", repo+"/issues", write("issues").orRole("read"), (*call).createIssue),
		on("GET", repo+"/issues/comments", listen, (*call).listRepoComments),
		on("GET", repo+"/issues/comments/{comment_id}", listen, (*call).getComment),
		on("PATCH", repo+"/issues/comments/{comment_id}", talk, (*call).updateComment),
		on("DELETE", repo+"/issues/comments/{comment_id}", talk, (*call).removeComment),
		on("GET", repo+"/issues/comments/{comment_id}/reactions", listen, (*call).commentReactions),
		on("POST", repo+"/issues/comments/{comment_id}/reactions", talk, (*call).reactToComment),
		on("DELETE", repo+"/issues/comments/{comment_id}/reactions/{reaction_id}", talk, (*call).deleteReaction),
		on("GET", repo+"/issues/{issue_number}", listen, (*call).getIssue),
		on("PATCH", repo+"/issues/{issue_number}", sort, (*call).updateIssue).locked(),
		on("GET", repo+"/issues/{issue_number}/comments", listen, (*call).listComments),
		on("POST", repo+"/issues/{issue_number}/comments", talk, (*call).createComment),
		on("GET", repo+"/issues/{issue_number}/labels", listen, (*call).listLabels),
		on("POST", repo+"/issues/{issue_number}/labels", sort, (*call).postLabels),
		on("DELETE", repo+"/issues/{issue_number}/labels/{name}", sort, (*call).deleteLabel),
		on("GET", repo+"/issues/{issue_number}/reactions", listen, (*call).issueReactions),
		on("POST", repo+"/issues/{issue_number}/reactions", talk, (*call).reactToIssue),

		on("GET", repo+"/pulls", read("pull_requests"), (*call).listPulls),
		on("POST", repo+"/pulls", write("pull_requests").orRole("read"), (*call).createPull).locked(),
		on("GET", repo+"/pulls/{pull_number}", read("pull_requests"), (*call).getPull).locked(),
		on("PATCH", repo+"/pulls/{pull_number}", write("pull_requests").orRole("triage"), (*call).updatePull).locked(),
		on("GET", repo+"/pulls/{pull_number}/commits", read("pull_requests"), (*call).pullCommits),
		on("GET", repo+"/pulls/{pull_number}/files", read("pull_requests"), (*call).pullFiles),
		on("GET", repo+"/pulls/{pull_number}/merge", read("pull_requests"), (*call).isMerged),
		on("PUT", repo+"/pulls/{pull_number}/merge", write("contents"), (*call).mergePull).locked(),
		on("GET", repo+"/pulls/{pull_number}/reviews", read("pull_requests"), (*call).listReviews),
		on("POST", repo+"/pulls/{pull_number}/reviews", write("pull_requests").orRole("read"), (*call).createReview),

		on("GET", repo+"/commits", read("contents"), (*call).listCommits),
		on("GET", repo+"/commits/{commit_sha}/branches-where-head", read("contents"), (*call).branchesWhereHead),
		on("GET", repo+"/commits/{commit_sha}/pulls", holding("pull_requests:read", "contents:read"), (*call).pullsOfCommit),
		on("GET", repo+"/commits/{ref...}", read("contents"), (*call).getCommit),
		on("GET", repo+"/compare/{basehead...}", read("contents"), (*call).compare),
		on("GET", repo+"/contents", read("contents"), (*call).getContents),
		on("GET", repo+"/contents/{path...}", read("contents"), (*call).getContents),
		on("GET", repo+"/branches", read("contents"), (*call).listBranches),
		on("GET", repo+"/branches/{branch...}", read("contents"), (*call).getBranch),
		on("GET", repo+"/rules/branches/{branch...}", read("metadata"), (*call).branchRules),
		on("GET", repo+"/tags", read("metadata"), (*call).listTags),
		on("GET", repo+"/git/blobs/{file_sha}", read("contents"), (*call).getBlob),
		on("GET", repo+"/git/commits/{commit_sha}", read("contents"), (*call).getGitCommit),
		on("GET", repo+"/git/trees/{tree_sha...}", read("contents"), (*call).getTree),
		on("GET", repo+"/git/ref/{ref...}", read("contents"), (*call).getRef),
		on("GET", repo+"/git/matching-refs/{ref...}", read("contents"), (*call).matchingRefs),
		on("POST", repo+"/git/refs", write("contents"), (*call).createRef).locked(),
		on("PATCH", repo+"/git/refs/{ref...}", write("contents"), (*call).updateRef).locked(),
		on("DELETE", repo+"/git/refs/{ref...}", write("contents"), (*call).deleteRef).locked(),
	}
}

func (c *call) meta() answer {
	return ok(obj{"verifiable_password_authentication": false, "installed_version": "3.18.0", "hooks": []any{"127.0.0.0/8"}, "web": []any{"127.0.0.0/8"},
		"api": []any{"127.0.0.0/8"}, "git": []any{"127.0.0.0/8"}})
}

func (c *call) root() answer {
	o := obj{}
	for name, path := range map[string]string{
		"current_user_url": "/user", "current_user_authorizations_html_url": "/settings/connections/applications{/client_id}",
		"authorizations_url": "/authorizations", "code_search_url": "/search/code?q={query}{&page,per_page,sort,order}",
		"commit_search_url": "/search/commits?q={query}{&page,per_page,sort,order}", "emails_url": "/user/emails", "emojis_url": "/emojis",
		"events_url": "/events", "feeds_url": "/feeds", "followers_url": "/user/followers", "following_url": "/user/following{/target}",
		"gists_url": "/gists{/gist_id}", "issue_search_url": "/search/issues?q={query}{&page,per_page,sort,order}", "issues_url": "/issues",
		"keys_url": "/user/keys", "label_search_url": "/search/labels?q={query}&repository_id={repository_id}{&page,per_page}",
		"notifications_url": "/notifications", "organization_url": "/orgs/{org}", "organization_repositories_url": "/orgs/{org}/repos{?type,page,per_page,sort}",
		"organization_teams_url": "/orgs/{org}/teams", "public_gists_url": "/gists/public", "rate_limit_url": "/rate_limit",
		"repository_url": "/repos/{owner}/{repo}", "repository_search_url": "/search/repositories?q={query}{&page,per_page,sort,order}",
		"current_user_repositories_url": "/user/repos{?type,page,per_page,sort}", "starred_url": "/user/starred{/owner}{/repo}",
		"starred_gists_url": "/gists/starred", "user_url": "/users/{user}", "user_organizations_url": "/user/orgs",
		"user_repositories_url": "/users/{user}/repos{?type,page,per_page,sort}", "user_search_url": "/search/users?q={query}{&page,per_page,sort,order}",
	} {
		o[name] = c.s.api("%s", path)
	}
	return ok(o)
}
