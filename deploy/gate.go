package deploy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Opening is a gate's answer. The zero value is closed.
type Opening struct {
	Open    bool
	Missing string // what is missing, in words
	Have    int    // approvals that count
	Need    int
}

// Gate says whether the promotion that waits at a place may start at the given moment.
func (s State) Gate(p Place, now time.Time) Opening {
	if p.Waiting == nil {
		return Opening{Missing: "nothing waits here"}
	}
	if held := s.held(p, now); held != "" {
		return Opening{Missing: held}
	}
	if after := p.Spec.After; after != "" && !p.Waiting.Rollback {
		if live := s.Places[after].Live; live == nil || live.Commit != p.Waiting.Commit || live.Digest != p.Waiting.Digest {
			return Opening{Missing: fmt.Sprintf("%s does not run it", after)}
		}
	}
	rule := p.Spec.Approve
	if rule == nil {
		return Opening{Open: true}
	}
	need := max(rule.Count, 1)
	if p.Waiting.Rollback {
		need = 1 // these very bytes have passed this gate before: one person who may open it is enough to go back
	}
	have := len(valid(p.Spec, *p.Waiting, now))
	if have >= need {
		return Opening{Open: true, Have: have, Need: need}
	}
	return Opening{Have: have, Need: need, Missing: fmt.Sprintf("%d of %d approvals by %s", have, need, strings.Join(rule.By, ", "))}
}

// valid are the approvals that count: of exactly these bytes, not run out, one for each person.
func valid(spec pipeline.Environment, w Promotion, now time.Time) (counted []Approval) {
	if spec.Approve == nil {
		return nil
	}
	for _, a := range w.Approvals {
		switch {
		case a.Commit != w.Commit || a.Digest != w.Digest:
		case spec.Approve.Expires > 0 && !now.Before(a.At.Add(spec.Approve.Expires.Std())):
		case !satisfies(*spec.Approve, a.Actor, a.Role, a.Teams):
		case slices.ContainsFunc(counted, func(c Approval) bool { return c.Actor.ID == a.Actor.ID }):
		default:
			counted = append(counted, a)
		}
	}
	return counted
}

// satisfies reports whether someone is one of those whom a rule names.
func satisfies(rule pipeline.Approve, actor pipeline.Actor, role pipeline.Role, teams []string) bool {
	for _, by := range rule.By {
		team, isTeam := strings.CutPrefix(by, "team:")
		user, isUser := strings.CutPrefix(by, "user:")
		switch {
		case isTeam && slices.Contains(teams, team):
			return true
		case isUser && strings.EqualFold(user, actor.Login):
			return true
		case !isTeam && !isUser && role.AtLeast(pipeline.Role(by)):
			return true
		}
	}
	return false
}

// Teams are the teams that some rule of the repository names, so that membership is asked of no others.
func (s State) Teams() (teams []string) {
	for _, d := range s.Definitions {
		if d.Approve == nil {
			continue
		}
		for _, by := range d.Approve.By {
			if team, ok := strings.CutPrefix(by, "team:"); ok && !slices.Contains(teams, team) {
				teams = append(teams, team)
			}
		}
	}
	return teams
}

// URL is the address that a place has when it runs a commit.
func (p Place) URL(c pipeline.Commit) string {
	name := p.Name
	return strings.NewReplacer(
		"{{ pr }}", fmt.Sprint(p.Pull), "{{pr}}", fmt.Sprint(p.Pull),
		"{{ sha }}", string(c), "{{sha}}", string(c),
		"{{ env }}", name, "{{env}}", name,
	).Replace(p.Spec.URL)
}
