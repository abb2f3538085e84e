package github

import (
	"encoding/base64"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

func sortedKeys[V any](all ...map[string]V) []string {
	seen := map[string]bool{}
	for _, m := range all {
		for k := range m {
			seen[k] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

var hexName = regexp.MustCompile(`^[0-9a-f]{7,40}$`)

// resolve turns a branch, tag, full ref or (short) SHA into a commit. A stale
// read sees a ref as it was before its last change.
func (c *call) resolve(name string) *commit {
	r := c.repo
	for _, ref := range []string{"refs/heads/" + name, "refs/tags/" + name, "refs/" + name, name} {
		sha := r.refs[ref]
		if c.stale && r.before[ref] != "" {
			sha = r.before[ref]
		}
		if sha != "" {
			return r.git.commit(sha)
		}
	}
	if hexName.MatchString(name) {
		return r.git.commit(name)
	}
	return nil
}

// person is a commit's author as an account, or null.
func (s *Server) person(g signature) any { return s.userOrNull(s.userOfEmail(g)) }

func (s *Server) renderCommit(r *Repo, k *commit) obj {
	at := s.api("/repos/%s/commits/%s", r.FullName, k.sha)
	parents := []any{}
	for _, p := range k.parents {
		parents = append(parents, obj{"sha": p, "url": s.api("/repos/%s/commits/%s", r.FullName, p), "html_url": s.html("/%s/commit/%s", r.FullName, p)})
	}
	return obj{
		"sha": k.sha, "node_id": "C_" + k.sha, "url": at, "html_url": s.html("/%s/commit/%s", r.FullName, k.sha), "comments_url": at + "/comments",
		"commit": obj{
			"url": s.api("/repos/%s/git/commits/%s", r.FullName, k.sha), "author": renderSignature(k.author), "committer": renderSignature(k.committer),
			"message": k.message, "comment_count": 0, "verification": unsigned(),
			"tree": obj{"sha": k.tree, "url": s.api("/repos/%s/git/trees/%s", r.FullName, k.tree)},
		},
		"author": s.person(k.author), "committer": s.person(k.committer), "parents": parents,
	}
}

func renderSignature(g signature) obj {
	return obj{"name": g.name, "email": g.email, "date": stamp(g.at)}
}

func unsigned() obj {
	return obj{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil}
}

// noCommit is the answer for a ref that names nothing.
func noCommit(name string) answer {
	return fail(http.StatusUnprocessableEntity, "No commit found for SHA: %s", name)
}

func (c *call) getCommit() answer {
	k := c.resolve(c.param["ref"])
	if k == nil {
		return noCommit(c.param["ref"])
	}
	if strings.Contains(c.r.Header.Get("Accept"), ".sha") {
		return answer{status: http.StatusOK, raw: []byte(k.sha), header: http.Header{"Content-Type": {"application/vnd.github.v3.sha; charset=utf-8"}}}
	}
	o := c.s.renderCommit(c.repo, k)
	parent := emptyTree
	if len(k.parents) > 0 {
		parent = k.parents[0]
	}
	files := c.repo.git.diff(parent, k.sha)
	var plus, minus int
	for _, f := range files {
		plus, minus = plus+f.plus, minus+f.minus
	}
	o["stats"] = obj{"total": plus + minus, "additions": plus, "deletions": minus}
	o["files"] = list(c, files, func(f fileDiff) obj { return c.s.renderFile(c.repo, k.sha, f) })
	return ok(o)
}

func (c *call) listCommits() answer {
	from := c.query.Get("sha")
	if from == "" {
		from = c.repo.DefaultBranch
	}
	k := c.resolve(from)
	if k == nil {
		if len(c.repo.refs) == 0 {
			return fail(http.StatusConflict, "Git Repository is empty.")
		}
		return notFound()
	}
	args := []string{"log", "--format=%H", k.sha, "--"}
	if p := c.query.Get("path"); p != "" {
		args = append(args, p)
	}
	out, err := c.repo.git.run(nil, args...)
	if err != nil {
		return notFound()
	}
	return ok(list(c, strings.Fields(string(out)), func(sha string) obj { return c.s.renderCommit(c.repo, c.repo.git.commit(sha)) }))
}

func (c *call) getGitCommit() answer {
	k := c.repo.git.commit(c.param["commit_sha"])
	if k == nil {
		return notFound()
	}
	o := c.s.renderCommit(c.repo, k)["commit"].(obj)
	delete(o, "comment_count")
	parents := []any{}
	for _, p := range k.parents {
		parents = append(parents, obj{"sha": p, "url": c.s.api("/repos/%s/git/commits/%s", c.repo.FullName, p), "html_url": c.s.html("/%s/commit/%s", c.repo.FullName, p)})
	}
	o["sha"], o["node_id"], o["parents"], o["html_url"] = k.sha, "C_"+k.sha, parents, c.s.html("/%s/commit/%s", c.repo.FullName, k.sha)
	return ok(o)
}

// compare is base...head, three dots: from the merge base.
func (c *call) compare() answer {
	a, b, found := strings.Cut(c.param["basehead"], "...")
	if !found {
		return notFound()
	}
	base, head := c.resolve(a), c.resolve(b)
	if base == nil || head == nil {
		return notFound()
	}
	g := c.repo.git
	fork := g.mergeBase(base.sha, head.sha)
	if fork == "" {
		return fail(http.StatusNotFound, "No common ancestor between %s and %s.", a, b)
	}
	ahead, _ := g.run(nil, "rev-list", "--reverse", base.sha+".."+head.sha)
	behind, _ := g.run(nil, "rev-list", head.sha+".."+base.sha)
	up, down := strings.Fields(string(ahead)), strings.Fields(string(behind))
	state := "diverged"
	switch {
	case len(up) == 0 && len(down) == 0:
		state = "identical"
	case len(down) == 0:
		state = "ahead"
	case len(up) == 0:
		state = "behind"
	}
	at, page := c.s.api("/repos/%s/compare/%s", c.repo.FullName, c.param["basehead"]), c.s.html("/%s/compare/%s", c.repo.FullName, c.param["basehead"])
	files := []any{}
	for _, f := range g.diff(fork, head.sha) {
		if len(files) < 300 {
			files = append(files, c.s.renderFile(c.repo, head.sha, f))
		}
	}
	return ok(obj{"url": at, "html_url": page, "permalink_url": c.s.html("/%s/compare/%s...%s", c.repo.FullName, base.sha, head.sha),
		"diff_url": page + ".diff", "patch_url": page + ".patch", "base_commit": c.s.renderCommit(c.repo, base),
		"merge_base_commit": c.s.renderCommit(c.repo, g.commit(fork)), "status": state, "ahead_by": len(up), "behind_by": len(down),
		"total_commits": len(up), "commits": list(c, up, func(sha string) obj { return c.s.renderCommit(c.repo, g.commit(sha)) }), "files": files})
}

// getContents reads a file or lists a directory.
func (c *call) getContents() answer {
	ref := c.query.Get("ref")
	if ref == "" {
		ref = c.repo.DefaultBranch
	}
	k := c.resolve(ref)
	if k == nil {
		return fail(http.StatusNotFound, "No commit found for the ref %s", ref)
	}
	path := strings.Trim(c.param["path"], "/")
	if slices.Contains(strings.Split(path, "/"), "..") || strings.ContainsAny(path, "\n\x00") {
		return notFound()
	}
	sha, kind, data := c.repo.git.object(k.sha + ":" + path)
	name := path[strings.LastIndexByte(path, '/')+1:]
	switch kind {
	case "blob":
		if strings.Contains(c.r.Header.Get("Accept"), "raw") {
			return answer{status: http.StatusOK, raw: data, header: http.Header{"Content-Type": {"application/vnd.github.raw; charset=utf-8"}}}
		}
		o := c.content(ref, "file", path, name, sha, len(data))
		o["encoding"], o["content"] = "base64", wrapBase64(data)
		return ok(o)
	case "tree":
		out := []any{}
		_, entries := c.repo.git.tree(k.sha + ":" + path)
		for _, e := range entries {
			size, what := 0, "file"
			if e.kind == "blob" {
				_, _, d := c.repo.git.object(e.sha)
				size = len(d)
			}
			switch {
			case e.kind == "tree":
				what = "dir"
			case e.kind == "commit":
				what = "submodule"
			case e.mode == "120000":
				what = "symlink"
			}
			out = append(out, c.content(ref, what, strings.TrimPrefix(path+"/"+e.name, "/"), e.name, e.sha, size))
		}
		return ok(out)
	}
	return notFound()
}

func (c *call) content(ref, kind, path, name, sha string, size int) obj {
	at := c.s.api("/repos/%s/contents/%s?ref=%s", c.repo.FullName, escapeRef(path), ref)
	git, page := c.s.api("/repos/%s/git/blobs/%s", c.repo.FullName, sha), c.s.html("/%s/blob/%s/%s", c.repo.FullName, escapeRef(ref), escapeRef(path))
	var download any = c.s.html("/raw/%s/%s/%s", c.repo.FullName, escapeRef(ref), escapeRef(path))
	if kind == "dir" {
		git, download = c.s.api("/repos/%s/git/trees/%s", c.repo.FullName, sha), nil
	}
	return obj{"type": kind, "name": name, "path": path, "sha": sha, "size": size, "url": at, "git_url": git, "html_url": page, "download_url": download,
		"_links": obj{"self": at, "git": git, "html": page}}
}

// wrapBase64 breaks lines at 60 characters, as GitHub does.
func wrapBase64(data []byte) string {
	text := base64.StdEncoding.EncodeToString(data)
	var b strings.Builder
	for len(text) > 60 {
		b.WriteString(text[:60] + "\n")
		text = text[60:]
	}
	b.WriteString(text + "\n")
	return b.String()
}

func (c *call) getBlob() answer {
	sha, kind, data := c.repo.git.object(c.param["file_sha"])
	if kind != "blob" || !hexName.MatchString(c.param["file_sha"]) {
		return notFound()
	}
	return ok(obj{"sha": sha, "node_id": "B_" + sha, "size": len(data), "url": c.s.api("/repos/%s/git/blobs/%s", c.repo.FullName, sha),
		"content": wrapBase64(data), "encoding": "base64"})
}

func (c *call) getTree() answer {
	k := c.resolve(c.param["tree_sha"])
	name := c.param["tree_sha"]
	if k != nil {
		name = k.tree
	}
	if !hexName.MatchString(name) {
		return notFound()
	}
	out := []any{}
	var walk func(sha, prefix string) string
	walk = func(sha, prefix string) string {
		full, entries := c.repo.git.tree(sha)
		for _, e := range entries {
			o := obj{"path": prefix + e.name, "mode": e.mode, "type": e.kind, "sha": e.sha, "url": c.s.api("/repos/%s/git/%ss/%s", c.repo.FullName, e.kind, e.sha)}
			if e.kind == "blob" {
				_, _, data := c.repo.git.object(e.sha)
				o["size"] = len(data)
			}
			out = append(out, o)
			if e.kind == "tree" && c.query.Has("recursive") {
				walk(e.sha, prefix+e.name+"/")
			}
		}
		return full
	}
	full := walk(name, "")
	if full == "" {
		return notFound()
	}
	return ok(obj{"sha": full, "url": c.s.api("/repos/%s/git/trees/%s", c.repo.FullName, full), "tree": out, "truncated": false})
}
