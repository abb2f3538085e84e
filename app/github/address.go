package github

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// What may become a part of an address. go-github v60 puts these into its paths as they are, so that "../" or "%2e%2e"
// would reach another resource than the one that was meant.
var (
	ownerForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)
	nameForm  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	loginForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(\[bot\])?$`)
	slugForm  = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)
	codeForm  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)
)

func checkRepo(repo pipeline.Repo) error {
	if repo.ID <= 0 || !ownerForm.MatchString(repo.Owner) || !nameForm.MatchString(repo.Name) || strings.Trim(repo.Name, ".") == "" {
		return fmt.Errorf("github: %q (id %d) is not a repository that can be asked for", repo.Slug(), repo.ID)
	}
	return nil
}

func checkLogin(login string, id int64) error {
	if id <= 0 || !loginForm.MatchString(login) {
		return fmt.Errorf("github: %q (id %d) is not a user that can be asked for", login, id)
	}
	return nil
}

func checkCommit(c pipeline.Commit) error {
	if !c.Valid() {
		return fmt.Errorf("github: %q is not a full commit id", string(c))
	}
	return nil
}

// checkLink admits what GitHub shows as a link; empty is no link.
func checkLink(link string) error {
	if link == "" {
		return nil
	}
	u, err := url.Parse(link)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || len(link) > 2000 {
		return fmt.Errorf("github: %q is not a link that can be shown", link)
	}
	return nil
}

// parseBase reads a configured address. Plain http would show tokens to the network, and is for this machine only.
func parseBase(which, s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("github: the %s address is not of the form https://HOST/PATH", which)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("github: the %s address %s must begin with https: tokens would travel readable", which, u.Host)
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || (ip != nil && ip.IsLoopback())
}
