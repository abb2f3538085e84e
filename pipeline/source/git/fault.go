package git

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// explain turns a failed fetch into a sentence that says what to do. Half of git's text comes from the server at the
// other end, so only its tamed form is shown.
func explain(repo pipeline.Repo, commit pipeline.Commit, err error, secrets ...string) error {
	var f *failure
	if !errors.As(err, &f) {
		return fmt.Errorf("source: fetch %s of %s: %w", commit.Short(), repo.Slug(), err)
	}
	said := tame(f.stderr, secrets...)
	has := func(any ...string) bool {
		for _, s := range any {
			if strings.Contains(f.stderr, s) {
				return true
			}
		}
		return false
	}
	why := ""
	switch {
	case lacks(err):
		return fmt.Errorf("%w: %s does not serve %s (anymore); it may have been removed by a forced push", source.ErrNoCommit, repo.Slug(), commit.Short())
	case has("returned error: 301", "returned error: 302", "returned error: 303", "returned error: 307", "returned error: 308"):
		why = "its address answers with a redirect: the repository was renamed or moved. Redirects are not followed, so that the token stays here; the next event brings the new name"
	case has("could not read Username", "could not read Password", "Authentication failed", "returned error: 401"):
		why = "the server refused the token; check that the App is installed for this repository and may read its contents"
	case has("returned error: 403"):
		why = "the server forbids it; check that the App may read the repository's contents, and that its organisation does not limit addresses"
	case has("returned error: 404", "not found"):
		why = "the repository is not there, or the App was not given access to it"
	case has("returned error: 429", "returned error: 5"):
		why = "the server cannot answer at the moment; the fetch can be repeated"
	case has("Could not resolve", "Failed to connect", "Couldn't connect", "Connection refused", "timed out", "Operation too slow", "reset by peer", "SSL", "certificate"):
		why = "the server cannot be reached; check the network, the proxy and the certificates of this machine"
	case has("fsck", "object corrupt"):
		return fmt.Errorf("%w: %s of %s holds something that git considers dangerous or damaged (%s)", source.ErrUnusable, commit.Short(), repo.Slug(), said)
	case has("No space left"):
		why = "the disk is full"
	default:
		why = "git failed"
	}
	return fmt.Errorf("source: fetch %s of %s: %s (%s)", commit.Short(), repo.Slug(), why, said)
}

// lacks reports whether the server does not serve the commit by its id.
func lacks(err error) bool {
	var f *failure
	if !errors.As(err, &f) {
		return false
	}
	for _, s := range []string{"not our ref", "unadvertised object", "couldn't find remote ref", "no such remote ref"} {
		if strings.Contains(f.stderr, s) {
			return true
		}
	}
	return false
}

// credential finds everything that looks like a token, whoever wrote it.
var credential = regexp.MustCompile(`(?i)(gh[a-z]_[A-Za-z0-9_.\-]+|github_pat_[A-Za-z0-9_]+|(authorization|basic|bearer)[:= ]+\S+( \S+)?|://[^/\s'"]*@|eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_.\-]+)`)

// tame makes a foreign program's text fit for logs and people: no secrets, one line, no control characters, bounded.
func tame(text string, secrets ...string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
			text = strings.ReplaceAll(text, base64.StdEncoding.EncodeToString([]byte(s)), "***")
		}
	}
	text = oneLine(credential.ReplaceAllString(text, "***"), 300)
	if text == "" {
		return "it gave no reason"
	}
	return text
}

// oneLine makes foreign text one line of printable characters, at most most of them; what is too long loses its middle.
func oneLine(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r) || r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > most {
		half := (most - 3) / 2
		text = string(r[:half]) + " … " + string(r[len(r)-half:])
	}
	return text
}
