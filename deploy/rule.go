package deploy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// eligible reports whether someone is one of those whom some part of a rule names.
func eligible(rule pipeline.Approve, actor pipeline.Actor, role pipeline.Role, teams []string, w Promotion) bool {
	return slices.ContainsFunc(rule.Parts(), func(part pipeline.ApproveGroup) bool { return satisfies(part, actor, role, teams, w) })
}

// satisfies reports whether someone is one of those whom a part of a rule names.
func satisfies(part pipeline.ApproveGroup, actor pipeline.Actor, role pipeline.Role, teams []string, w Promotion) bool {
	for _, by := range part.By {
		team, isTeam := strings.CutPrefix(by, "team:")
		user, isUser := strings.CutPrefix(by, "user:")
		switch {
		case by == pipeline.Codeowners:
			// Going back compares nothing, so that no file has an owner then: a maintainer stands for them.
			if w.Rollback && role.AtLeast(pipeline.Maintain) || !w.Rollback && role.AtLeast(pipeline.Write) && w.Card.ownedBy(actor.Login, teams) {
				return true
			}
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

// seats puts people into the parts of a rule, each person into one part only, so that as many seats as possible are
// taken. It returns how many people each part has got.
func seats(rule pipeline.Approve, people []Approval, w Promotion) []int {
	parts := rule.Parts()
	taken := make([][]int, len(parts)) // part → people
	var place func(person int, tried []bool) bool
	place = func(person int, tried []bool) bool {
		a := people[person]
		for i, part := range parts {
			if tried[i] || !satisfies(part, a.Actor, a.Role, a.Teams, w) {
				continue
			}
			tried[i] = true
			if len(taken[i]) < max(part.Count, 1) {
				taken[i] = append(taken[i], person)
				return true
			}
			for seat, other := range taken[i] { // whoever sits here may be able to sit elsewhere
				if place(other, tried) {
					taken[i][seat] = person
					return true
				}
			}
		}
		return false
	}
	for person := range people {
		place(person, make([]bool, len(parts)))
	}
	have := make([]int, len(parts))
	for i := range parts {
		have[i] = len(taken[i])
	}
	return have
}

// unseen are the sets of owners none of whom has approved, where a part asks for nobody but the owners: then each changed
// file that has owners needs the word of one of them.
func unseen(rule pipeline.Approve, people []Approval, w Promotion) (missing []CardOwners) {
	if w.Card == nil || !slices.ContainsFunc(rule.Parts(), onlyOwners) {
		return nil
	}
	for _, set := range w.Card.Owners {
		if !slices.ContainsFunc(people, func(a Approval) bool {
			return a.Role.AtLeast(pipeline.Write) && owns(set.Owners, a.Actor.Login, a.Teams)
		}) {
			missing = append(missing, set)
		}
	}
	return missing
}

func onlyOwners(part pipeline.ApproveGroup) bool {
	return len(part.By) == 1 && part.By[0] == pipeline.Codeowners
}

// whom says in words who opens a gate.
func whom(rule pipeline.Approve) string {
	parts := rule.Parts()
	if len(parts) == 1 {
		return strings.Join(parts[0].By, ", ")
	}
	var words []string
	for _, part := range parts {
		words = append(words, fmt.Sprintf("%d of %s", max(part.Count, 1), strings.Join(part.By, ", ")))
	}
	return strings.Join(words, ", and ")
}

// Teams are the teams that some rule of the repository, or an owner of what waits, names, so that membership is asked of
// no others.
func (s State) Teams() (teams []string) {
	add := func(team string) {
		if !slices.Contains(teams, team) {
			teams = append(teams, team)
		}
	}
	for _, d := range s.Definitions {
		if d.Approve == nil {
			continue
		}
		for _, part := range d.Approve.Parts() {
			for _, by := range part.By {
				if team, ok := strings.CutPrefix(by, "team:"); ok {
					add(team)
				}
			}
		}
	}
	for _, name := range s.PlaceNames() {
		if w := s.Places[name].Waiting; w != nil && w.Card != nil {
			for _, set := range w.Card.Owners {
				for _, o := range set.Owners {
					if name, known := strings.CutPrefix(o, "@"); known {
						if _, team, isTeam := strings.Cut(name, "/"); isTeam {
							add(team)
						}
					}
				}
			}
		}
	}
	return teams
}
