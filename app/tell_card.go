package app

import (
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// shipsBody is the card that people see before they approve. It is closed until they open it; what deserves a look stands
// in its headline. Everything in it that comes from outside is shown as it is, and mentions nobody.
func shipsBody(s deploy.Shipping) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n<details><summary><b>What ships</b> to <code>%s</code>: %s</summary>\n\n", s.Environment, shipsHeadline(s.Card))
	b.WriteString("| | commit | artifact |\n|---|---|---|\n")
	fmt.Fprintf(&b, "| now | %s | %s |\n| next | `%s` | `%s` |\n\n", side(s.From.Commit), digestOf(s.From.Digest), s.To.Commit.Short(), s.To.Digest.Short())
	switch {
	case s.Last != nil && s.Failed != "":
		fmt.Fprintf(&b, "It was last deployed %s; a deployment after that failed: %s\n\n", s.Last.At.UTC().Format(time.RFC3339), github.Literal(s.Failed))
	case s.Last != nil:
		fmt.Fprintf(&b, "It was last deployed %s.\n\n", s.Last.At.UTC().Format(time.RFC3339))
	default:
		b.WriteString("It is the first release there, so that everything is new.\n\n")
	}
	if s.Lock != nil {
		fmt.Fprintf(&b, "🔒 The environment is %s.\n\n", unmention(s.Lock.Words()))
	}
	if s.CommitsGap != "" {
		fmt.Fprintf(&b, "⚠️ Not all is known of its commits: %s.\n\n", s.CommitsGap)
	}
	if s.Behind > 0 {
		fmt.Fprintf(&b, "⚠️ %s that the environment runs now would go.\n\n", plural(s.Behind, "commit"))
	}
	if more := s.CommitCount - len(s.Commits); more > 0 && len(s.Commits) > 0 {
		fmt.Fprintf(&b, "The last %d of %s:\n\n", len(s.Commits), plural(s.CommitCount, "commit"))
	}
	for _, c := range s.Commits {
		fmt.Fprintf(&b, "- `%s` %s, %s\n", c.Commit.Short(), github.Literal(c.Title), github.Literal(c.Author))
	}
	b.WriteString("\n")
	if len(s.Pulls) > 0 {
		var words []string
		for _, p := range s.Pulls {
			words = append(words, fmt.Sprintf("%d by %s", p.Number, github.Literal(p.Author.Login)))
		}
		fmt.Fprintf(&b, "Pull requests: %s.\n\n", strings.Join(words, ", "))
	}
	if len(s.Contributors) > 0 {
		var words []string
		for _, a := range s.Contributors {
			words = append(words, github.Literal(a.Login))
		}
		fmt.Fprintf(&b, "Contributors: %s.\n\n", strings.Join(words, ", "))
	}
	if s.FilesGap != "" {
		fmt.Fprintf(&b, "⚠️ Not all is known of its files: %s.\n\n", s.FilesGap)
	}
	for i, f := range s.Risky {
		if i == 0 {
			b.WriteString("Look at these files:\n\n")
		}
		fmt.Fprintf(&b, "- `%s` (%s)\n", f.Path, f.Why)
	}
	if more := s.RiskyCount - len(s.Risky); more > 0 {
		fmt.Fprintf(&b, "- and %d more\n", more)
	}
	fmt.Fprintf(&b, "\nWho may approve: %s.\n\n<sub>card `%.12s`</sub>\n</details>\n", s.Who, s.Hash())
	return b.String()
}

func shipsHeadline(c deploy.Card) string {
	words := []string{plural(c.CommitCount, "commit"), plural(c.FileCount, "file")}
	if c.RiskyCount > 0 {
		words = append(words, fmt.Sprintf("⚠️ %d to look at", c.RiskyCount))
	}
	if c.Lock != nil {
		words = append(words, fmt.Sprintf("🔒 locked for #%d", c.Lock.Pull))
	}
	if c.CommitsGap != "" || c.FilesGap != "" {
		words = append(words, "⚠️ not all is known")
	}
	return strings.Join(words, ", ")
}

func side(c pipeline.Commit) string {
	if c == "" {
		return "nothing"
	}
	return "`" + c.Short() + "`"
}

func digestOf(d pipeline.Digest) string {
	if d == "" {
		return ""
	}
	return "`" + d.Short() + "`"
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
