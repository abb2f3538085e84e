package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// How many repositories are looked into: each costs two calls, and a large company has thousands. The page comes again every
// few seconds. `/doctor` looks into any.
const (
	MostLooked = 1000
	pageLooked = 20
)

// installed is an installation with what the doctor looks into of it.
type installed struct {
	finding Finding
	place   github.Place
	repos   []pipeline.Repo
}

// installations are the accounts that have the App, and their repositories' protection.
func (d *doctor) installations(ctx context.Context, r github.Registration) (all []Finding) {
	places, err := d.github.Places(ctx)
	switch {
	case err != nil:
		return []Finding{{Name: "Installations", Level: Unknown, Says: "GitHub does not list them: " + lower(err)}}
	case len(places) == 0:
		return []Finding{{
			Name: "Installations", Level: Unknown, Says: "The App is not installed anywhere yet.",
			Fix: "Install it on your repositories.", Link: r.HTMLURL + "/installations/new",
		}}
	}
	var found []installed
	listed, there := 0, 0
	for _, p := range places {
		at, total := d.installedAt(ctx, p, d.most-listed)
		found = append(found, at)
		listed, there = listed+len(at.repos), there+total
	}
	looked := 0
	var limited *github.Limited
	for _, at := range found {
		all = append(all, at.finding)
		for _, repo := range at.repos {
			if limited != nil || ctx.Err() != nil {
				break
			}
			d.progress(looked, listed)
			findings, err := d.branch(ctx, repo, r.Slug)
			if errors.As(err, &limited) || ctx.Err() != nil {
				break // each of the others would say the same
			}
			all = append(all, findings...)
			looked++
		}
	}
	d.progress(looked, listed)
	switch more := there - looked; {
	case limited != nil:
		all = append(all, Finding{Name: "Repositories", Level: Unknown, Says: fmt.Sprintf("Of %d repositories, %d were looked into: %s", there, looked, lower(limited)), Fix: "Look again when GitHub lets us ask."})
	case looked < listed:
		all = append(all, Finding{Name: "Repositories", Level: Unknown, Says: fmt.Sprintf("Of %d repositories, %d were looked into: there was no more time.", there, looked), Fix: "Look again."})
	case more > 0:
		all = append(all, Finding{
			Name: "Repositories", Level: Warning, Says: fmt.Sprintf("Of %d repositories, the first %d were looked into: more than %d are not, here.", there, looked, d.most),
			Fix: d.beyond,
		})
	case looked > 1:
		all = append(all, Finding{Name: "Repositories", Level: OK, Says: fmt.Sprintf("All %d were looked into.", looked)})
	}
	return all
}

// shortLimit is how long a limit may last that the command waits for: so many calls in a minute are made now and then.
const shortLimit = 70 * time.Second

// branch looks at a repository's default branch, once more after a limit that is over soon.
func (d *doctor) branch(ctx context.Context, repo pipeline.Repo, slug string) ([]Finding, error) {
	for {
		findings, err := branchFindings(ctx, d.github.Installation(repo.Installation), repo, d.config.AppID, slug, nil)
		var limited *github.Limited
		if !errors.As(err, &limited) {
			return findings, err
		}
		wait := limited.Until.Sub(d.now())
		if d.patience == 0 || wait > shortLimit {
			return findings, err
		}
		if err := pause(ctx, max(wait, time.Millisecond)); err != nil {
			return findings, err
		}
	}
}

// installedAt asks an installation how it stands and what it may see, at most so many.
func (d *doctor) installedAt(ctx context.Context, p github.Place, most int) (at installed, total int) {
	at = installed{finding: placeFinding(p, d.config.wanted()), place: p}
	if p.SuspendedAt != nil {
		return at, 0
	}
	repos, total, err := d.github.Installation(p.ID).Repositories(ctx, most)
	switch {
	case err != nil:
		at.finding = Finding{Name: at.finding.Name, Level: Unknown, Says: "GitHub does not list its repositories: " + lower(err)}
		return at, 0
	case total == 0:
		at.finding = Finding{Name: at.finding.Name, Level: Warning, Says: "The App is installed on no repository.", Fix: "Select one on the installation's page.", Link: p.HTMLURL}
	case at.finding.Level == OK:
		at.finding.Says = fmt.Sprintf("The App may work in %s, with all that it asks for.", count(total, "repository", "repositories"))
	}
	at.repos = repos
	return at, total
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// installationIn begins the name of a finding about an installation that there is.
const installationIn = "Installation in "

// placeFinding says how an installation stands.
func placeFinding(p github.Place, want manifest) Finding {
	f := Finding{Name: installationIn + p.Account.Login, Level: OK, Says: "It has all that the App asks for."}
	missing, _ := compare(p.Permissions, want.Permissions)
	var deaf []string
	for _, e := range want.Events {
		if !slices.Contains(p.Events, e) {
			deaf = append(deaf, "`"+e+"`")
		}
	}
	switch {
	case p.SuspendedAt != nil:
		f.Level, f.Says, f.Fix, f.Link = Failed, "It is suspended: nothing is heard or told there.", "An owner of the account lets it go on, on the installation's page.", p.HTMLURL
	case len(missing) > 0:
		f.Level, f.Says = Failed, "It has not been given "+strings.Join(missing, ", ")+"."
		f.Fix, f.Link = "When the App has them, an owner of the account must accept them on the installation's page.", p.HTMLURL
	case len(deaf) > 0:
		f.Level, f.Says = Failed, "Nothing is heard of "+strings.Join(deaf, ", ")+" there."
		f.Fix, f.Link = "When the App is subscribed to them, an owner of the account must accept that on the installation's page.", p.HTMLURL
	}
	return f
}

// branchFindings looks at what the default branch requires of our checks: that there is one, that only we can pass it, and
// that it can come. stages are the checks of
// all stages, when they are known. When GitHub does not say, there is a finding and the error.
func branchFindings(ctx context.Context, in *github.Installation, repo pipeline.Repo, app int64, slug string, stages []string) ([]Finding, error) {
	f := Finding{Name: "Required checks of " + repo.Slug(), Level: OK}
	if repo.Branch == "" {
		f.Level, f.Says = Unknown, "Its default branch is not known yet."
		return []Finding{f}, nil
	}
	b, err := in.Branch(ctx, repo, repo.Branch)
	switch {
	case errors.Is(err, github.ErrGone):
		f.Level, f.Says, f.Fix = Unknown, "It has no branch "+quoted(repo.Branch)+" yet.", "Push one."
		return []Finding{f}, nil
	case err != nil:
		f.Level, f.Says = Unknown, "GitHub does not show the rules of "+quoted(repo.Branch)+": "+lower(err)
		return []Finding{f}, err
	}
	return pinned(f, b, app, slug, stages), nil
}

// pinned judges a branch. It asks nobody.
func pinned(f Finding, b github.Branch, app int64, slug string, stages []string) (all []Finding) {
	var good, open, foreign, never []string
	for _, r := range b.Required {
		called, stage, ours := strings.Cut(r.Name, " / ")
		known := called == pipeline.DefaultPipeline || slices.ContainsFunc(stages, func(s string) bool { return strings.HasPrefix(s, called+" / ") })
		switch {
		case !ours || !known:
		case r.App == 0:
			open = append(open, quoted(r.Name))
		case r.App != app:
			foreign = append(foreign, quoted(r.Name))
		case stages != nil && stage != "plan" && !slices.Contains(stages, r.Name):
			never = append(never, quoted(r.Name))
		default:
			good = append(good, quoted(r.Name))
		}
	}
	branch := quoted(b.Name)
	switch {
	case len(foreign) > 0:
		f.Level, f.Says = Failed, strings.Join(foreign, ", ")+" on "+branch+" is taken from another App only, so that ours never counts."
		f.Fix = "In the branch's protection or ruleset, choose `" + slug + "` as the source of that check."
	case len(open) > 0:
		f.Level, f.Says = Failed, strings.Join(open, ", ")+" on "+branch+" is taken from anyone: whoever can write a status can pass it."
		f.Fix = "In the branch's protection or ruleset, choose `" + slug + "` as the source of that check."
	case len(never) > 0:
		f.Level, f.Says = Failed, strings.Join(never, ", ")+" is required on "+branch+", and the plan has no such stage: it never comes, and nothing can be merged."
		f.Fix = "Require the check of a stage that the plan has, or give the stage its name back."
	case len(good) == 0:
		f.Level, f.Says = Warning, "No check of Conveyor is required on "+branch+": what is red can be merged."
		f.Fix = "Require `conveyor / STAGE` in the branch's protection or in a ruleset, with `" + slug + "` as its source."
	default:
		f.Says = strings.Join(good, ", ") + " must pass on " + branch + ", and only `" + slug + "` can pass it."
	}
	return append(all, f)
}

// quoted is a name from outside as code.
func quoted(name string) string {
	return "`" + strings.ReplaceAll(strings.Join(strings.Fields(name), " "), "`", "'") + "`"
}
