package dashboard

import (
	"fmt"
	"strings"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// shipsView is what people see before they approve.
type shipsView struct {
	Headline         string
	From, FromDigest string
	FromURL          string
	To, ToDigest     string
	CompareURL       string
	Warnings         []string
	Commits          []shippedCommit
	Risky            []deploy.CardFile
	About            []string
}

type shippedCommit struct{ Short, URL, Title, Author string }

func (p *Pages) ships(repo pipeline.Repo, s deploy.Shipping) *shipsView {
	v := &shipsView{
		Headline: count(s.CommitCount, "commit") + ", " + count(s.FileCount, "file"),
		To:       s.To.Commit.Short(), ToDigest: s.To.Digest.Short(), Risky: s.Risky,
	}
	if s.RiskyCount > 0 {
		v.Headline += fmt.Sprintf(", %d to look at", s.RiskyCount)
	}
	if s.From.Commit != "" {
		v.From, v.FromDigest, v.FromURL = s.From.Commit.Short(), s.From.Digest.Short(), p.github(repo, "commit", string(s.From.Commit))
		v.CompareURL = p.github(repo, "compare", string(s.From.Commit)+"..."+string(s.To.Commit))
	}
	if s.Lock != nil {
		v.Warnings = append(v.Warnings, "The environment is "+sentence(plain(s.Lock.Words())))
	}
	for _, gap := range [][2]string{{"commits", s.CommitsGap}, {"files", s.FilesGap}} {
		if gap[1] != "" {
			v.Warnings = append(v.Warnings, fmt.Sprintf("Not all is known of its %s: %s", gap[0], sentence(plain(gap[1]))))
		}
	}
	if s.Behind > 0 {
		v.Warnings = append(v.Warnings, count(s.Behind, "commit")+" that the environment runs now would go.")
	}
	for _, c := range s.Commits {
		v.Commits = append(v.Commits, shippedCommit{c.Commit.Short(), p.github(repo, "commit", string(c.Commit)), plain(c.Title), plain(c.Author)})
	}
	var pulls, people []string
	for _, n := range s.Pulls {
		pulls = append(pulls, fmt.Sprintf("#%d by @%s", n.Number, n.Author.Login))
	}
	for _, a := range s.Contributors {
		people = append(people, "@"+a.Login)
	}
	v.About = append(v.About, "Who may approve: "+sentence(s.Who))
	if len(pulls) > 0 {
		v.About = append(v.About, "Pull requests: "+sentence(strings.Join(pulls, ", ")))
	}
	if len(people) > 0 {
		v.About = append(v.About, "Contributors: "+sentence(strings.Join(people, ", ")))
	}
	if s.Last != nil {
		v.About = append(v.About, "Last deployed "+s.Last.At.UTC().Format("2 January 2006 15:04 UTC")+".")
	}
	if s.Failed != "" {
		v.About = append(v.About, "The last deployment failed: "+sentence(plain(s.Failed)))
	}
	v.About = append(v.About, fmt.Sprintf("Card %.12s.", s.Hash()))
	return v
}
