package github

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
)

func (c *call) renderRef(name string) obj {
	return obj{"ref": name, "node_id": "REF_" + base64.RawURLEncoding.EncodeToString([]byte(name)), "url": c.s.api("/repos/%s/git/%s", c.repo.FullName, escapeRef(name)),
		"object": obj{"type": "commit", "sha": c.refSHA(name), "url": c.s.api("/repos/%s/git/commits/%s", c.repo.FullName, c.refSHA(name))}}
}

func (c *call) refSHA(name string) string {
	if c.stale && c.repo.before[name] != "" {
		return c.repo.before[name]
	}
	return c.repo.refs[name]
}

func (c *call) getRef() answer {
	name := "refs/" + c.param["ref"]
	if c.repo.refs[name] == "" {
		return notFound()
	}
	return ok(c.renderRef(name))
}

func (c *call) matchingRefs() answer {
	var names []string
	for _, name := range sortedKeys(c.repo.refs) {
		if strings.HasPrefix(name, "refs/"+c.param["ref"]) {
			names = append(names, name)
		}
	}
	return ok(list(c, names, c.renderRef))
}

func (c *call) createRef() answer {
	if a := c.types("ref:string! sha:string!"); a != nil {
		return *a
	}
	name, sha := c.text("ref"), c.text("sha")
	switch {
	case !validRef(name):
		return fail(http.StatusUnprocessableEntity, "Reference name must start with 'refs/' and contain at least two slashes.")
	case c.repo.refs[name] != "":
		return fail(http.StatusUnprocessableEntity, "Reference already exists")
	case c.repo.git.commit(sha) == nil || len(sha) != 40:
		return fail(http.StatusUnprocessableEntity, "Object does not exist")
	}
	return c.moveRef(name, sha, http.StatusCreated)
}

var refName = regexp.MustCompile(`^refs/(heads|tags)/[^\x00-\x20~^:?*\[\\\x7f]+$`)

func validRef(name string) bool {
	return refName.MatchString(name) && !strings.Contains(name, "..") && !strings.Contains(name, "//") && !strings.HasSuffix(name, "/") &&
		!strings.HasSuffix(name, ".lock") && !strings.Contains(name, "@{") && !strings.Contains(name, "/.") && !strings.HasSuffix(name, ".")
}

func (c *call) moveRef(name, sha string, status int) answer {
	if err := c.repo.git.update(map[string]string{name: sha}); err != nil {
		return fail(http.StatusUnprocessableEntity, "Reference update failed")
	}
	c.s.refsChanged(c.repo, c.who.actor(), []refChange{{name, c.repo.refs[name], sha}})
	if sha == "" {
		return noContent()
	}
	return answer{status: status, body: c.renderRef(name)}
}

func (c *call) updateRef() answer {
	if a := c.types("sha:string! force:bool"); a != nil {
		return *a
	}
	name, sha := "refs/"+c.param["ref"], c.text("sha")
	switch {
	case c.repo.refs[name] == "":
		return fail(http.StatusUnprocessableEntity, "Reference does not exist")
	case c.repo.git.commit(sha) == nil || len(sha) != 40:
		return fail(http.StatusUnprocessableEntity, "Object does not exist")
	case !c.flag("force", false) && !c.repo.git.isAncestor(c.repo.refs[name], sha):
		return fail(http.StatusUnprocessableEntity, "Update is not a fast forward")
	}
	return c.moveRef(name, sha, http.StatusOK)
}

func (c *call) deleteRef() answer {
	name := "refs/" + c.param["ref"]
	if c.repo.refs[name] == "" || !validRef(name) {
		return fail(http.StatusUnprocessableEntity, "Reference does not exist")
	}
	return c.moveRef(name, "", http.StatusNoContent)
}

func (c *call) listBranches() answer {
	var names []string
	for _, name := range sortedKeys(c.repo.refs) {
		if b, found := strings.CutPrefix(name, "refs/heads/"); found {
			names = append(names, b)
		}
	}
	return ok(list(c, names, c.shortBranch))
}

func (c *call) shortBranch(name string) obj {
	sha := c.refSHA("refs/heads/" + name)
	return obj{"name": name, "protected": false, "commit": obj{"sha": sha, "url": c.s.api("/repos/%s/commits/%s", c.repo.FullName, sha)}}
}

func (c *call) getBranch() answer {
	name := c.param["branch"]
	sha := c.refSHA("refs/heads/" + name)
	if sha == "" {
		return fail(http.StatusNotFound, "Branch not found")
	}
	at := c.s.api("/repos/%s/branches/%s", c.repo.FullName, escapeRef(name))
	return ok(obj{"name": name, "commit": c.s.renderCommit(c.repo, c.repo.git.commit(sha)), "protected": c.repo.rules[name] != nil,
		"_links":         obj{"self": at, "html": c.s.html("/%s/tree/%s", c.repo.FullName, escapeRef(name))},
		"protection":     c.renderProtection(name),
		"protection_url": at + "/protection"})
}

func (c *call) branchesWhereHead() answer {
	var names []string
	for _, name := range sortedKeys(c.repo.refs) {
		if b, found := strings.CutPrefix(name, "refs/heads/"); found && c.repo.refs[name] == c.param["commit_sha"] {
			names = append(names, b)
		}
	}
	return ok(list(c, names, c.shortBranch))
}

func (c *call) listTags() answer {
	var names []string
	for _, name := range newestFirst(sortedKeys(c.repo.refs)) {
		if t, found := strings.CutPrefix(name, "refs/tags/"); found {
			names = append(names, t)
		}
	}
	return ok(list(c, names, func(name string) obj {
		sha, at := c.repo.git.commit(c.repo.refs["refs/tags/"+name]).sha, c.s.api("/repos/%s", c.repo.FullName)
		return obj{"name": name, "node_id": "REF_" + name, "zipball_url": at + "/zipball/refs/tags/" + escapeRef(name), "tarball_url": at + "/tarball/refs/tags/" + escapeRef(name),
			"commit": obj{"sha": sha, "url": at + "/commits/" + sha}}
	}))
}
