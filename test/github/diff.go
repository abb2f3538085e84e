package github

import (
	"strconv"
	"strings"
)

const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// fileDiff is one changed file.
type fileDiff struct {
	name, from, state, blob string
	plus, minus             int
	patch                   string
}

// diff compares two trees, renames found, in the order of names.
func (g *store) diff(from, to string) []fileDiff {
	// The empty tree exists in every repository without being stored.
	raw, err := g.run(nil, "diff-tree", "-r", "-z", "-M", "--raw", "--numstat", "--no-commit-id", from, to)
	if err != nil {
		return nil
	}
	fields := strings.Split(string(raw), "\x00")
	var out []fileDiff
	at := map[string]int{}
	i := 0
	for ; i < len(fields) && strings.HasPrefix(fields[i], ":"); i++ {
		p := strings.Fields(fields[i])
		f := fileDiff{blob: p[3], state: "modified"}
		i++
		f.name = fields[i]
		switch p[4][0] {
		case 'A':
			f.state = "added"
		case 'D':
			f.state, f.blob = "removed", p[2]
		case 'R', 'C':
			f.from, f.state = f.name, "renamed"
			i++
			f.name = fields[i]
		}
		at[f.name] = len(out)
		out = append(out, f)
	}
	for ; i < len(fields); i++ {
		p := strings.SplitN(fields[i], "\t", 3)
		if len(p) != 3 {
			continue
		}
		name := p[2]
		if name == "" && i+2 < len(fields) { // renamed: both names follow
			name = fields[i+2]
			i += 2
		}
		if n, found := at[name]; found {
			out[n].plus, _ = strconv.Atoi(p[0])
			out[n].minus, _ = strconv.Atoi(p[1])
		}
	}
	g.patches(from, to, out)
	return out
}

// patches adds the text of the changes, without git's own head lines.
func (g *store) patches(from, to string, files []fileDiff) {
	text, err := g.run(nil, "-c", "core.quotePath=false", "diff-tree", "-r", "-M", "-p", "--no-commit-id", "--no-prefix", from, to)
	if err != nil || len(text) > 1<<20 {
		return
	}
	n := -1
	for _, part := range strings.Split("\n"+string(text), "\ndiff --git ")[1:] {
		n++
		if n >= len(files) {
			return
		}
		if _, hunks, found := strings.Cut(part, "\n@@"); found {
			files[n].patch = "@@" + strings.TrimSuffix(hunks, "\n")
		}
	}
}

func (s *Server) renderFile(r *Repo, sha string, f fileDiff) obj {
	path := escapeRef(f.name)
	o := obj{"sha": f.blob, "filename": f.name, "status": f.state, "additions": f.plus, "deletions": f.minus, "changes": f.plus + f.minus,
		"blob_url": s.html("/%s/blob/%s/%s", r.FullName, sha, path), "raw_url": s.html("/%s/raw/%s/%s", r.FullName, sha, path),
		"contents_url": s.api("/repos/%s/contents/%s?ref=%s", r.FullName, path, sha)}
	if f.patch != "" {
		o["patch"] = f.patch
	}
	if f.from != "" {
		o["previous_filename"] = f.from
	}
	return o
}
