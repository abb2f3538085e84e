package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// Submodule is a folder of a commit that stands for a commit of another repository.
type Submodule struct {
	Path        string
	Owner, Name string // of the repository, on the same host
	Commit      pipeline.Commit
}

// mostModules bounds a .gitmodules file, in bytes, and mostSubmodules how many there are in one commit.
const (
	mostModules    = 256 << 10
	mostSubmodules = 200
)

// Submodules lists the submodules of a fetched commit. Which commit one has is the tree's word; where it comes from is that
// of the commit's own .gitmodules, and only a repository of the same host counts, however it is written there: it is
// fetched in the one way that everything is. Nothing of the file reaches a command of git but by its one reader of
// settings. Its error is ErrUnusable, with a sentence, when a submodule cannot be had.
func (s *Source) Submodules(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit) ([]Submodule, error) {
	out, err := s.ask(ctx, repo, []pipeline.Commit{commit}, call{limit: mostPaths,
		args: []string{"ls-tree", "-r", "-z", "--full-tree", "--end-of-options", string(commit)}})
	if err != nil {
		return nil, err
	}
	var all []Submodule
	for entry := range bytes.SplitSeq(out, []byte{0}) {
		head, at, _ := bytes.Cut(entry, []byte("\t"))
		if f := strings.Fields(string(head)); len(f) == 3 && f[0] == "160000" {
			all = append(all, Submodule{Path: string(at), Commit: pipeline.Commit(f[2])})
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	if len(all) > mostSubmodules {
		return nil, fmt.Errorf("%w: %s has %d submodules, more than %d", source.ErrUnusable, commit.Short(), len(all), mostSubmodules)
	}
	urls, err := s.moduleURLs(ctx, repo, commit)
	if err != nil {
		return nil, err
	}
	own, _, err := s.address(repo)
	if err != nil {
		return nil, err
	}
	for i, m := range all {
		raw, there := urls[m.Path]
		if !there {
			return nil, fmt.Errorf("%w: the submodule %s has no url in .gitmodules of %s", source.ErrUnusable, oneLine(m.Path, 100), commit.Short())
		}
		if err := checkPath(m.Path); err != nil {
			return nil, fmt.Errorf("%w: the submodule %q: %w", source.ErrUnusable, oneLine(m.Path, 100), err)
		}
		var why string
		if all[i].Owner, all[i].Name, why = sameHost(raw, own); why != "" {
			return nil, fmt.Errorf("%w: the submodule %s: %s", source.ErrUnusable, oneLine(m.Path, 100), why)
		}
	}
	return all, nil
}

// moduleURLs reads .gitmodules of a commit: the url of each path. A link is not followed, and nothing is included.
func (s *Source) moduleURLs(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit) (map[string]string, error) {
	text, err := s.File(ctx, repo, commit, ".gitmodules", mostModules)
	if errors.Is(err, source.ErrNoFile) || errors.Is(err, source.ErrTooLarge) {
		return nil, fmt.Errorf("%w: there are submodules, but .gitmodules cannot be read: %w", source.ErrUnusable, err)
	}
	if err != nil {
		return nil, err
	}
	out, err := s.git.run(ctx, call{limit: 4 * mostModules, stdin: text, args: []string{"config", "--no-includes", "--null", "--list", "--file", "-"}})
	if err != nil {
		return nil, fmt.Errorf("%w: .gitmodules of %s has a mistake: %w", source.ErrUnusable, commit.Short(), err)
	}
	type module struct{ path, url string }
	modules := map[string]module{}
	for entry := range bytes.SplitSeq(out, []byte{0}) {
		key, value, _ := strings.Cut(string(entry), "\n")
		key, isModule := strings.CutPrefix(key, "submodule.")
		dot := strings.LastIndexByte(key, '.')
		if !isModule || dot < 0 {
			continue
		}
		name := key[:dot]
		if !harmlessName(name) {
			return nil, fmt.Errorf("%w: .gitmodules of %s names a submodule %q", source.ErrUnusable, commit.Short(), oneLine(name, 60))
		}
		m := modules[name]
		switch key[dot+1:] {
		case "path":
			m.path = strings.TrimSuffix(value, "/")
		case "url":
			m.url = value
		}
		modules[name] = m
	}
	urls := map[string]string{}
	for _, m := range modules {
		if other, twice := urls[m.path]; twice && other != m.url {
			return nil, fmt.Errorf("%w: .gitmodules of %s names %q twice", source.ErrUnusable, commit.Short(), oneLine(m.path, 60))
		}
		if m.path != "" && m.url != "" {
			urls[m.path] = m.url
		}
	}
	return urls, nil
}

// harmlessName is git's own rule for names of submodules, which git turns into folders. They are not used here at all; a
// file that holds such a name is meant to do harm.
func harmlessName(name string) bool {
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '/' || r == '\\' }) {
		if part == ".." {
			return false
		}
	}
	return name != "" && !strings.HasPrefix(name, "-") && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' })
}

var (
	ownerForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)
	nameForm  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	scpForm   = regexp.MustCompile(`^(?:[A-Za-z0-9._-]+@)?([A-Za-z0-9.-]+):([^/].*)$`) // git@github.com:octo/tools.git
)

// sameHost finds the repository that a submodule's url means, when it lies on the host of own: what is relative, and what is
// written for https, ssh or git's own protocol. Anything else is a reason, in words.
func sameHost(raw, own string) (owner, name, why string) {
	shown := oneLine(raw, 100)
	here, err := url.Parse(own)
	if err != nil {
		return "", "", "the address of its own repository cannot be read"
	}
	if raw == "" || strings.HasPrefix(raw, "-") || strings.Contains(raw, "::") || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' }) {
		return "", "", fmt.Sprintf("%q is no address that is ever fetched", shown)
	}
	host, at := "", ""
	switch {
	case strings.HasPrefix(raw, "./"), strings.HasPrefix(raw, "../"):
		host, at = here.Host, path.Join(here.Path, raw)
	case strings.Contains(raw, "://"):
		u, err := url.Parse(raw)
		if err != nil || u.RawQuery != "" || u.Fragment != "" {
			return "", "", fmt.Sprintf("%q cannot be read", shown)
		}
		_, password := u.User.Password()
		ssh := u.Scheme == "ssh" || u.Scheme == "git+ssh" || u.Scheme == "ssh+git"
		switch {
		case password, u.User != nil && !ssh:
			return "", "", "its address holds a user or a password; leave them out"
		case ssh:
			host = hostWith(here, u.Hostname()) // its port is that of ssh
		case u.Scheme == "https", u.Scheme == "http", u.Scheme == "git":
			host = u.Host
		default:
			return "", "", fmt.Sprintf("%q is fetched by %s, and only https is used here", shown, oneLine(u.Scheme, 20))
		}
		at = u.Path
	default:
		m := scpForm.FindStringSubmatch(raw)
		if m == nil {
			return "", "", fmt.Sprintf("%q is no address that is ever fetched", shown)
		}
		host, at = hostWith(here, m[1]), "/"+m[2]
	}
	if !strings.EqualFold(host, here.Host) {
		return "", "", fmt.Sprintf("%q lies on another host than this repository, and only %s is asked", shown, here.Host)
	}
	parts := strings.Split(strings.Trim(at, "/"), "/")
	if len(parts) == 2 {
		owner, name = parts[0], strings.TrimSuffix(parts[1], ".git")
	}
	if !ownerForm.MatchString(owner) || !nameForm.MatchString(name) || strings.Trim(name, ".") == "" {
		return "", "", fmt.Sprintf("%q names no repository; it is owner/name", shown)
	}
	return owner, name, ""
}

// hostWith is a host as it stands beside our own port, which an address for ssh does not name.
func hostWith(here *url.URL, hostname string) string {
	if port := here.Port(); port != "" && strings.EqualFold(hostname, here.Hostname()) {
		return hostname + ":" + port
	}
	return hostname
}
