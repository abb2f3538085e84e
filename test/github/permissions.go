package github

import (
	"net/http"
	"slices"
	"strings"
)

// levels order the values of a permission.
var levels = map[string]int{"read": 1, "write": 2, "admin": 3}

// permissionNames are the permissions a manifest may ask for.
// https://docs.github.com/rest/authentication/permissions-required-for-github-apps
var permissionNames = strings.Fields(`actions actions_variables administration attestations artifact_metadata checks codespaces
	contents custom_properties dependabot_secrets deployments discussions environments issues merge_queues metadata packages pages
	pull_requests pull_request_repository_security_advisories repository_advisories repository_custom_properties repository_hooks repository_projects
	secret_scanning_alerts secrets security_events single_file statuses vulnerability_alerts workflows
	members organization_administration organization_custom_roles organization_custom_properties organization_hooks
	organization_personal_access_tokens organization_plan organization_projects organization_secrets
	organization_self_hosted_runners organization_user_blocking team_discussions email_addresses followers`)

// eventNeeds tells which permission (any of them) an App needs to hear an
// event. Events that are always delivered are not here: listing them in a
// manifest is refused.
// https://docs.github.com/webhooks/webhook-events-and-payloads
var eventNeeds = map[string][]string{
	"branch_protection_rule": {"administration"}, "check_run": {"checks"}, "check_suite": {"checks"},
	"commit_comment": {"contents"}, "create": {"contents"}, "delete": {"contents"}, "deployment": {"deployments"},
	"deployment_protection_rule": {"deployments"}, "deployment_review": {"deployments"}, "deployment_status": {"deployments"},
	"discussion": {"discussions"}, "fork": {"contents"}, "gollum": {"contents"},
	"issue_comment": {"issues", "pull_requests"}, "issues": {"issues"}, "label": {"metadata"}, "member": {"members"}, "membership": {"members"},
	"merge_group": {"merge_queues"}, "meta": {"metadata"}, "milestone": {"issues", "pull_requests"}, "organization": {"members"},
	"public": {"metadata"}, "pull_request": {"pull_requests"}, "pull_request_review": {"pull_requests"},
	"pull_request_review_comment": {"pull_requests"}, "pull_request_review_thread": {"pull_requests"}, "push": {"contents"},
	"release": {"contents"}, "repository": {"metadata"}, "repository_dispatch": {"contents"}, "star": {"metadata"}, "status": {"statuses"},
	"team": {"members"}, "team_add": {"members"}, "watch": {"metadata"}, "workflow_dispatch": {"contents"},
	"workflow_job": {"actions"}, "workflow_run": {"actions"},
}

func allows(permissions map[string]string, name, level string) bool {
	return levels[permissions[name]] >= levels[level] && levels[level] > 0
}

// need says who may use a route.
type need struct {
	kind  string   // "anyone", "app", "installation", "user", "token"
	perms []string // "checks:write": an installation must hold one of them
	role  string   // what a user must be in the repository
	apps  bool     // no users
}

var (
	anyone         = need{kind: "anyone"}
	asApp          = need{kind: "app"}
	asInstallation = need{kind: "installation"}
	asUser         = need{kind: "user"}
)

// holding makes a need of permissions, any one of which is enough. A user
// needs the role of the same name.
func holding(perms ...string) need {
	n := need{kind: "token", perms: perms}
	_, n.role, _ = strings.Cut(perms[0], ":")
	return n
}

func (n need) orRole(role string) need { n.role = role; return n }
func (n need) onlyApps() need          { n.apps = true; return n }

const notByIntegration = "Resource not accessible by integration"

// permitted checks the route's need; nil means go on.
func (c *call) permitted() *answer {
	stop := func(a answer) *answer { return &a }
	n := c.route.need
	switch {
	case n.kind == "anyone":
		return nil
	case n.kind == "app" && c.who.kind != "app":
		return stop(fail(http.StatusUnauthorized, "A JSON web token could not be decoded"))
	case n.kind == "app":
		return nil
	case c.who.kind == "app":
		return stop(fail(http.StatusForbidden, notByIntegration))
	case n.kind == "installation" && c.who.kind != "installation":
		return stop(fail(http.StatusForbidden, "You must authenticate with an installation access token in order to list repositories for an installation."))
	case n.kind == "user" && c.who.kind == "installation":
		return stop(fail(http.StatusForbidden, notByIntegration))
	}
	if c.who.kind == "anonymous" {
		reading := c.r.Method == http.MethodGet || c.r.Method == http.MethodHead
		if c.repo != nil && c.repo.Private {
			return stop(notFound())
		}
		if !reading || n.kind == "user" || n.kind == "installation" || (c.repo == nil && len(n.perms) > 0) || c.sensitive() {
			return stop(fail(http.StatusUnauthorized, "Requires authentication"))
		}
		return nil
	}
	if c.who.kind == "user" {
		return c.userPermitted()
	}
	return c.integrationPermitted()
}

// sensitive reads are refused to the anonymous even in public repositories.
func (c *call) sensitive() bool {
	return slices.ContainsFunc(c.route.need.perms, func(p string) bool { return strings.HasPrefix(p, "administration:") }) ||
		strings.Contains(c.route.pattern, "/collaborators")
}

func (c *call) integrationPermitted() *answer {
	stop := func(a answer) *answer { return &a }
	n := c.route.need
	if len(n.perms) == 0 {
		if c.repo != nil && c.repo.Private && !c.who.reaches(c.repo) {
			return stop(notFound())
		}
		return nil
	}
	refusal := fail(http.StatusForbidden, notByIntegration).
		with("X-Accepted-GitHub-Permissions", strings.ReplaceAll(strings.Join(n.perms, "; "), ":", "="))
	reading := strings.HasSuffix(n.perms[0], ":read")
	if c.repo != nil && !c.who.reaches(c.repo) {
		switch {
		case c.repo.Private:
			return stop(notFound())
		case !reading || c.sensitive():
			return stop(refusal)
		}
		return nil // any token reads what is public
	}
	if c.repo == nil {
		if org := c.param["org"]; org != "" && !strings.EqualFold(org, c.who.installation.Account.Login) {
			return stop(refusal)
		}
	}
	for _, p := range n.perms {
		name, level, _ := strings.Cut(p, ":")
		if allows(c.who.permissions, name, level) {
			return nil
		}
	}
	// Stricter than GitHub for public repositories: there a missing read
	// permission goes unnoticed until the first private one.
	return stop(refusal)
}

func (c *call) userPermitted() *answer {
	stop := func(a answer) *answer { return &a }
	n := c.route.need
	if n.apps {
		return stop(fail(http.StatusForbidden, "You must authenticate via a GitHub App."))
	}
	if c.repo == nil {
		return nil
	}
	role := c.s.role(c.who.user, c.repo)
	if roles[role] == 0 && c.repo.Private {
		return stop(notFound())
	}
	if n.role != "" && roles[role] < roles[n.role] {
		if n.role == "admin" {
			return stop(fail(http.StatusForbidden, "Must have admin rights to Repository."))
		}
		return stop(fail(http.StatusForbidden, "Must have push access to repository"))
	}
	return nil
}

// reaches tells whether an installation token covers a repository.
func (i *identity) reaches(repo *Repo) bool {
	return i.kind == "installation" && i.installation.covers(repo) && (i.repos == nil || i.repos[repo.ID])
}
