package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// doctor answers /doctor: what the repository still lacks. It looks, and changes nothing.
func (a *App) doctor(ctx context.Context, s deploy.State, p deploy.Pending) (deploy.Forwarded, error) {
	f := deploy.Forwarded{Command: p.Command.ID}
	in := a.github.Installation(s.Repo.Installation)
	place, err := a.github.Place(ctx, s.Repo.Installation)
	if err != nil && !a.useless(err) {
		return f, err // GitHub is away: the answer is owed until it is back
	}
	installed := placeFinding(place, a.config.wanted())
	installed.Name = "Installation"
	if err != nil {
		installed.Level, installed.Says = Unknown, "GitHub does not show it: "+lower(err)
	}
	found := []Finding{installed}
	plan, stages, planFindings, err := a.planFindings(ctx, in, s.Repo)
	if err != nil {
		return f, err
	}
	found = append(found, planFindings...)
	slug := "this App"
	if self, err := in.Self(ctx); err == nil {
		slug = self.Slug
	}
	required, _ := branchFindings(ctx, in, s.Repo, a.config.AppID, slug, stages) // what is not known is a finding
	for _, finding := range required {
		finding.Name = strings.TrimSuffix(finding.Name, " of "+s.Repo.Slug())
		found = append(found, finding)
	}
	found = append(found, environmentFinding(s, plan))
	teams, err := a.teamFindings(ctx, in, s.Repo.Owner, plan)
	if err != nil {
		return f, err
	}
	f.Say = findingsTable(append(found, teams...))
	return f, nil
}

// planFindings reads the pipelines as the default branch has them now. plan is the one that declares the environments, and
// stages are those that checks are called after, "conveyor / test"; none when some are not known.
func (a *App) planFindings(ctx context.Context, in *github.Installation, repo pipeline.Repo) (plan pipeline.Plan, stages []string, found []Finding, err error) {
	f := Finding{Name: "Plan", Level: OK}
	if repo.Branch == "" {
		f.Level, f.Says = Unknown, "The default branch is not known yet."
		return plan, nil, []Finding{f}, nil
	}
	b, err := in.Branch(ctx, repo, repo.Branch)
	if err != nil && !a.useless(err) {
		return plan, nil, nil, err
	}
	if err != nil {
		f.Level, f.Says = Unknown, "GitHub does not show "+quoted(repo.Branch)+": "+lower(err)
		return plan, nil, []Finding{f}, nil
	}
	if err := a.fetchOnce(ctx, repo, "doctor", "refs/heads/"+repo.Branch, b.Commit); err != nil {
		return plan, nil, nil, err
	}
	all, err := a.pipelines(ctx, repo, b.Commit)
	at := quoted(repo.Branch) + " (" + b.Commit.Short() + ")"
	if errors.Is(err, source.ErrNoFile) {
		f.Level, f.Says, f.Fix = Failed, at+" has no `"+pipeline.PlanPath+"`, so that nothing is deployed from it.", "Commit one; the README has one of twelve lines."
		return plan, nil, []Finding{f}, nil
	}
	if err != nil {
		return plan, nil, nil, err
	}
	wrong := false
	for _, p := range all {
		f := Finding{Name: "Plan", Level: OK}
		if len(all) > 1 {
			f.Name += " of " + p.Plan.Called()
		}
		if !p.Good() {
			first := p.Problems[0]
			f.Level, f.Says = Failed, fmt.Sprintf("`%s` at %s cannot be used: line %d, column %d: %s.", first.File(), at, first.Line, first.Column, strings.ReplaceAll(first.Message, "`", "'"))
			f.Fix = "`conveyor validate` lists each mistake with its place."
			found, wrong = append(found, f), true
			continue
		}
		f.Says = fmt.Sprintf("`%s` at %s is good: %s.", p.Plan.Path(), at, count(len(p.Plan.Stages), "stage", "stages"))
		found = append(found, f)
		if len(p.Plan.Environments) > 0 || len(plan.Stages) == 0 {
			plan = p.Plan
		}
		for _, stage := range p.Plan.Stages {
			stages = append(stages, p.Plan.Called()+" / "+stage.Name)
		}
	}
	if wrong {
		stages = nil // so that nothing can be said of their stages
	}
	return plan, stages, found, nil
}

// environmentFinding compares the environments in force with those of the plan.
func environmentFinding(s deploy.State, plan pipeline.Plan) Finding {
	f := Finding{Name: "Environments", Level: OK}
	var inForce, planned []string
	for _, d := range s.Definitions {
		inForce = append(inForce, quoted(d.Name))
	}
	for _, e := range plan.Environments {
		planned = append(planned, quoted(e.Name))
	}
	switch {
	case len(plan.Stages) == 0: // there is none, or it cannot be used
		f.Says = "In force are " + or(strings.Join(inForce, ", "), "none") + ", until the default branch has a good plan."
	case len(inForce) == 0 && len(planned) == 0:
		f.Level, f.Says, f.Fix = Warning, "None are defined: runs are tested and built, and nothing is deployed.", "Define some under `environments` on the default branch."
	case strings.Join(inForce, ", ") != strings.Join(planned, ", "):
		f.Level = Warning
		f.Says = "In force are " + or(strings.Join(inForce, ", "), "none") + "; the default branch's plan defines " + or(strings.Join(planned, ", "), "none") + "."
		f.Fix = "They come into force with the next push to the default branch that Conveyor hears of."
	default:
		f.Says = strings.Join(inForce, ", ") + ": in force as the default branch defines them."
	}
	return f
}

func or(words, otherwise string) string {
	if words == "" {
		return otherwise
	}
	return words
}

// teamFindings asks for the teams that gates name: one that cannot be seen opens no gate.
func (a *App) teamFindings(ctx context.Context, in *github.Installation, org string, plan pipeline.Plan) ([]Finding, error) {
	f := Finding{Name: "Teams", Level: OK}
	var seen, missing []string
	for _, team := range (deploy.State{Definitions: plan.Environments}).Teams() {
		there, err := in.TeamExists(ctx, org, team)
		if err != nil && !a.useless(err) {
			return nil, err
		}
		if err == nil && there {
			seen = append(seen, quoted(team))
		} else {
			missing = append(missing, quoted(team))
		}
	}
	switch {
	case len(missing) > 0:
		f.Level, f.Says = Failed, "The plan lets "+strings.Join(missing, ", ")+" approve, and the App sees no such team in "+quoted(org)+"."
		f.Fix = "Write the team's name as in its address, and accept the permission `members: read` for the App."
	case len(seen) == 0:
		return nil, nil
	default:
		f.Says = strings.Join(seen, ", ") + " can be asked for members."
	}
	return []Finding{f}, nil
}

var marks = map[Level]string{OK: "✅ well", Warning: "⚠️ look", Failed: "❌ failed", Unknown: "❔ not known"}

// findingsTable is a list as Markdown. All that may come from outside is made harmless.
func findingsTable(all []Finding) string {
	var b strings.Builder
	failed := 0
	b.WriteString("| | what | how it stands |\n|---|---|---|\n")
	for _, f := range all {
		if f.Level == Failed {
			failed++
		}
		says := cell(f.Says)
		if f.Fix != "" {
			says += "<br>**Do:** " + cell(f.Fix)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", marks[f.Level], cell(f.Name), says)
	}
	if failed > 0 {
		return fmt.Sprintf("%d failed.\n\n%s", failed, b.String())
	}
	return "Nothing failed.\n\n" + b.String()
}

// cell is a sentence with `code` in a table.
func cell(text string) string {
	parts := strings.Split(text, "`")
	for i, part := range parts {
		if i%2 == 1 && i < len(parts)-1 {
			parts[i] = "`" + strings.ReplaceAll(strings.Join(strings.Fields(part), " "), "|", "¦") + "`"
			continue
		}
		lead, tail := "", ""
		if strings.HasPrefix(part, " ") {
			lead = " "
		}
		if strings.HasSuffix(part, " ") && part != " " {
			tail = " "
		}
		parts[i] = lead + github.Literal(part) + tail
	}
	return strings.Join(parts, "")
}
