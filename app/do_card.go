package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

const (
	cardReach    = 1000    // commits that are looked at
	cardAsk      = 50      // commits whose pull requests GitHub is asked for
	ownedFiles   = 20_000  // changed files whose owners are looked for
	ownersLimit  = 3 << 20 // bytes of a CODEOWNERS file, as at GitHub
	cardTitle    = 100     // characters of a commit's title
	cardNameSize = 39      // characters of an author's name, as long as a login may be
)

// drawCard finds out what ships with the promotion that waits: the files from the mirror, the commits and their people
// from GitHub. What cannot be known is written on the card as a gap; what cannot be known at the moment is tried again.
func (a *App) drawCard(ctx context.Context, w *repoWork, e deploy.DrawCard) error {
	s := w.Latest()
	p := s.Places[e.Environment]
	if p.Waiting == nil || p.Waiting.ID != e.Promotion || !s.OwesCard(p) {
		return nil
	}
	card, drawn := s.Relocked(p) // when only the lock has changed, GitHub need not be asked
	if !drawn {
		var err error
		if card, err = a.cardCommits(ctx, s, p, s.Blank(p)); err != nil {
			return err
		}
		if card, err = a.cardFiles(ctx, s, p, card); err != nil {
			return err
		}
	}
	a.log.Info("what ships is known", "repo", s.Repo.Slug(), "env", p.Name, "deployment", e.Promotion, "commits", card.CommitCount, "files", card.FileCount)
	_, err := w.Append(ctx, deploy.CardKnown{Environment: p.Name, Promotion: e.Promotion, Card: card, At: a.now().UTC()})
	return err
}

// cardCommits adds the commits, and the people behind them.
func (a *App) cardCommits(ctx context.Context, s deploy.State, p deploy.Place, card deploy.Card) (deploy.Card, error) {
	in := a.github.Installation(s.Repo.Installation)
	var commits []github.Commit
	switch {
	case card.From.Commit == card.To.Commit: // the same commit, built again
	case card.From.Commit == "":
		one, err := in.Commit(ctx, s.Repo, card.To.Commit)
		if err != nil {
			return a.gap(card, err)
		}
		commits, card.CommitCount = []github.Commit{one}, 1
	default:
		compared, err := in.Compare(ctx, s.Repo, card.From.Commit, card.To.Commit, cardReach)
		if err != nil {
			return a.gap(card, err)
		}
		commits, card.CommitCount, card.Behind = compared.Commits, compared.Total, compared.Behind
		if len(commits) < compared.Total {
			card.CommitsGap = fmt.Sprintf("of %d commits only %d were looked at", compared.Total, len(commits))
		}
	}
	ids := map[pipeline.Commit]bool{card.To.Commit: true}
	for i, c := range commits {
		ids[c.Commit] = true
		card = card.WithPeople(c.People...)
		if c.Unknown {
			card.Unknown++
		}
		if i >= len(commits)-deploy.CardCommits {
			card.Commits = append(card.Commits, deploy.CardCommit{Commit: c.Commit, Title: outside(c.Title, cardTitle), Author: outside(c.Author, cardNameSize)})
		}
	}
	var people []pipeline.Actor
	card.Pulls, people = s.CardPulls(ids)
	card = card.WithPeople(people...)
	if !p.Spec.Approve.NotContributor {
		return card, nil
	}
	return a.contributors(ctx, s, commits, card)
}

// contributors asks GitHub for the pull requests of the commits, and for their commits: a merge may have made one commit of
// the work of many. No webhook needs to have been heard for it.
func (a *App) contributors(ctx context.Context, s deploy.State, commits []github.Commit, card deploy.Card) (deploy.Card, error) {
	in := a.github.Installation(s.Repo.Installation)
	card.Thorough = true
	if len(commits) > cardAsk {
		card.CommitsGap = fmt.Sprintf("it is more than %d commits", cardAsk)
		return card, nil
	}
	seen := map[int]bool{}
	for _, c := range commits {
		pulls, err := in.Brought(ctx, s.Repo, c.Commit)
		if err != nil {
			return a.gap(card, err)
		}
		for _, p := range pulls {
			if seen[p.Number] {
				continue
			}
			seen[p.Number] = true
			card = card.WithPeople(p.Author)
			inside, err := in.PullCommits(ctx, s.Repo, p.Number)
			if err != nil {
				return a.gap(card, err)
			}
			for _, k := range inside {
				card = card.WithPeople(k.People...)
				if k.Unknown {
					card.Unknown++
				}
			}
			if len(inside) >= 250 { // more are not told
				card.CommitsGap = fmt.Sprintf("pull request %d has more commits than GitHub tells of", p.Number)
			}
		}
	}
	return card, nil
}

// gap writes on the card why its commits are not known, when asking again is useless.
func (a *App) gap(card deploy.Card, err error) (deploy.Card, error) {
	if !a.useless(err) {
		return card, err
	}
	card.CommitsGap = "GitHub shows no comparison with " + card.From.Commit.Short()
	if card.From.Commit == "" {
		card.CommitsGap = "GitHub does not show " + card.To.Commit.Short()
	}
	return card, nil
}

// cardFiles adds the changed files: those that deserve a second look, and whose they are. A first release changes all.
func (a *App) cardFiles(ctx context.Context, s deploy.State, p deploy.Place, card deploy.Card) (deploy.Card, error) {
	asked := p.Spec.Approve.Names(pipeline.Codeowners)
	if asked {
		card.Rules = s.DefinedAt
	}
	lost := func(err error) (deploy.Card, error) {
		if !errors.Is(err, source.ErrNoCommit) && !errors.Is(err, source.ErrUnusable) && !a.useless(err) {
			return card, err
		}
		card.FilesGap = "a commit to compare with is not there any more"
		return card, nil
	}
	for _, c := range []pipeline.Commit{card.From.Commit, card.To.Commit} {
		if c == "" {
			continue
		}
		if err := a.fetchOnce(ctx, s.Repo, "card", "", c); err != nil {
			return lost(err)
		}
	}
	files, err := a.source.All(ctx, s.Repo, card.To.Commit)
	if card.From.Commit != "" {
		files, err = a.source.Changed(ctx, s.Repo, card.From.Commit, card.To.Commit)
	}
	if err != nil {
		return lost(err)
	}
	var owners *deploy.Owners
	switch {
	case !asked:
	case len(files) > ownedFiles:
		card.FilesGap = fmt.Sprintf("it changes more than %d files", ownedFiles)
	default:
		if owners, card.FilesGap, err = a.owners(ctx, s); err != nil {
			return lost(err)
		}
	}
	return card.WithFiles(files, owners), nil
}

// owners reads CODEOWNERS at the commit of the default branch whose plan defines the environments.
func (a *App) owners(ctx context.Context, s deploy.State) (o *deploy.Owners, gap string, err error) {
	if err := a.fetchOnce(ctx, s.Repo, "owners", "", s.DefinedAt); err != nil {
		return nil, "", err
	}
	for _, path := range deploy.CodeownersPaths {
		data, err := a.source.File(ctx, s.Repo, s.DefinedAt, path, ownersLimit)
		switch {
		case errors.Is(err, source.ErrNoFile):
			continue
		case errors.Is(err, source.ErrTooLarge):
			return nil, path + " is too large", nil
		case err != nil:
			return nil, "", err
		}
		o, complete := deploy.ParseOwners(data, s.Repo.Owner)
		if !complete {
			return nil, path + " has too many rules", nil
		}
		return o, "", nil
	}
	return nil, "the default branch has no CODEOWNERS file", nil
}

// outside is text from outside on one line, cut.
func outside(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
