package git

import (
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

var (
	pullRef     = regexp.MustCompile(`^refs/pull/[1-9][0-9]{0,18}/(head|merge)$`)
	workspaceID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
)

// checkRef accepts the kinds of refs that GitHub shows commits under, by the rules of git check-ref-format.
// https://git-scm.com/docs/git-check-ref-format
func checkRef(ref string) error {
	bad := func(why string) error { return fmt.Errorf("%w: %q is no usable ref: %s", source.ErrUnusable, ref, why) }
	if pullRef.MatchString(ref) {
		return nil
	}
	name, ok := strings.CutPrefix(ref, "refs/heads/")
	if !ok {
		name, ok = strings.CutPrefix(ref, "refs/tags/")
	}
	switch {
	case !ok:
		return bad("it must start with refs/heads/ or refs/tags/, or be refs/pull/N/head")
	case len(ref) > 1024:
		return bad("it is too long")
	case strings.HasPrefix(name, "-"):
		return bad("a name must not start with a dash")
	case strings.Contains(name, "..") || strings.Contains(name, "@{") || name == "@" || strings.HasSuffix(name, "."):
		return bad("it holds what git gives a meaning of its own")
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(" ~^:?*[\\", r) }):
		return bad("it holds a character that git does not allow")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return bad("a part of it is empty, starts with a dot or ends with .lock")
		}
	}
	return nil
}

func checkCommit(commit pipeline.Commit) error {
	if !commit.Valid() {
		return fmt.Errorf("source: %q is no full commit id", string(commit))
	}
	return nil
}

// checkPath accepts paths inside a tree: relative, with slashes, without dots.
func checkPath(path string) error {
	if !fs.ValidPath(path) || path == "." || strings.ContainsRune(path, 0) || len(path) > 4096 {
		return fmt.Errorf("source: %q is no path inside a repository; it must be relative, without . and .. and written with single slashes", path)
	}
	return nil
}

func checkID(id string) error {
	if !workspaceID.MatchString(id) {
		return fmt.Errorf("source: %q cannot name a workspace; letters, digits, dots, dashes and underscores can", id)
	}
	return nil
}

// address is where a repository is fetched from, and the one protocol that is allowed for it.
func (s *Source) address(repo pipeline.Repo) (address, scheme string, err error) {
	raw := s.opts.URL(repo)
	u, err := url.Parse(raw)
	switch {
	case err != nil: // the error of url.Parse repeats the address, which may hold a password
		return "", "", fmt.Errorf("source: the address of %s cannot be read; check the configured GitHub address", repo.Slug())
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return "", "", fmt.Errorf("source: the address of %s must start with https://, it starts with %q", repo.Slug(), u.Scheme)
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return "", "", fmt.Errorf("source: the address of %s must not hold a user, password, query or fragment", repo.Slug())
	}
	return u.String(), u.Scheme, nil
}
