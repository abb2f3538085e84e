package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// maxLooked is how many repositories the doctor looks into: each costs two calls. /doctor looks into any.
const maxLooked = 20

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
	looked := 0
	for _, p := range places {
		f := placeFinding(p, d.config.wanted())
		all = append(all, f)
		if p.SuspendedAt != nil {
			continue
		}
		repos, total, err := d.github.Installation(p.ID).Repositories(ctx)
		if err != nil {
			all[len(all)-1] = Finding{Name: f.Name, Level: Unknown, Says: "GitHub does not list its repositories: " + lower(err)}
			continue
		}
		if f.Level == OK {
			all[len(all)-1].Says = fmt.Sprintf("The App may work in %s, with all that it asks for.", count(total, "repository", "repositories"))
		}
		if total == 0 {
			all[len(all)-1] = Finding{Name: f.Name, Level: Warning, Says: "The App is installed on no repository.", Fix: "Select one on the installation's page.", Link: p.HTMLURL}
		}
		for _, repo := range repos {
			if looked++; looked <= maxLooked {
				all = append(all, branchFindings(ctx, d.github.Installation(p.ID), repo, d.config.AppID, r.Slug, nil)...)
			}
		}
	}
	if more := looked - maxLooked; more > 0 {
		all = append(all, Finding{Name: "Repositories", Level: OK, Says: fmt.Sprintf("%s more were not looked into: `/doctor` in a pull request looks into its own.", count(more, "repository", "repositories"))})
	}
	return all
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
// that it can come. stages are those of the plan, when it is known.
func branchFindings(ctx context.Context, in *github.Installation, repo pipeline.Repo, app int64, slug string, stages []string) []Finding {
	f := Finding{Name: "Required checks of " + repo.Slug(), Level: OK}
	if repo.Branch == "" {
		f.Level, f.Says = Unknown, "Its default branch is not known yet."
		return []Finding{f}
	}
	b, err := in.Branch(ctx, repo, repo.Branch)
	switch {
	case errors.Is(err, github.ErrGone):
		f.Level, f.Says, f.Fix = Unknown, "It has no branch "+quoted(repo.Branch)+" yet.", "Push one."
		return []Finding{f}
	case err != nil:
		f.Level, f.Says = Unknown, "GitHub does not show the rules of "+quoted(repo.Branch)+": "+lower(err)
		return []Finding{f}
	}
	return pinned(f, b, app, slug, stages)
}

// pinned judges a branch. It asks nobody.
func pinned(f Finding, b github.Branch, app int64, slug string, stages []string) (all []Finding) {
	var good, open, foreign, never []string
	for _, r := range b.Required {
		switch stage, ours := strings.CutPrefix(r.Name, "conveyor / "); {
		case !ours:
		case r.App == 0:
			open = append(open, quoted(r.Name))
		case r.App != app:
			foreign = append(foreign, quoted(r.Name))
		case stages != nil && stage != "plan" && !slices.Contains(stages, stage):
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
