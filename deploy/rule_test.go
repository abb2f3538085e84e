package deploy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// gatedBy is everything up to what production waits for, behind a rule; its card is not drawn yet.
func gatedBy(rule pipeline.Approve) []deploy.Event {
	list := environments()
	rule.UnsafeWindow, rule.Expires = pipeline.Duration(5*time.Second), pipeline.Duration(24*time.Hour)
	list[2].Approve = &rule
	return chain(deploy.Defined{Repo: shop, Commit: commit('0'), Pushed: true, Environments: list, Plan: "p1"},
		pull('a', 0), pull('a', 10, merged('e')), run(pipeline.Push, 'e', '2', 11), start("staging", 1, 'e', '2', 13), done("staging", 1, 14))
}

func stateAfter(events ...any) (s deploy.State) {
	for _, e := range chain(events...) {
		s = deploy.Apply(s, e)
	}
	return s
}

// voice is a person's approval, with what GitHub says that they may do.
type voice struct {
	id    int64
	role  pipeline.Role
	teams []string
}

func (v voice) says(second int) []deploy.Event {
	id := fmt.Sprintf("v%d", v.id)
	return chain(say(id, pipeline.Actor{ID: v.id, Login: fmt.Sprintf("person%d", v.id)}, deploy.Approve, "production", second), role(id, v.role, second, v.teams...))
}

func TestGroupsAreFilledByPeopleOfTheirOwn(t *testing.T) {
	t.Parallel()
	rule := pipeline.Approve{Groups: []pipeline.ApproveGroup{{By: []string{"team:release", "team:security"}, Count: 1}, {By: []string{"team:security"}, Count: 1}}}
	both, one, none := voice{11, pipeline.Read, []string{"release", "security"}}, voice{12, pipeline.Read, []string{"release"}}, voice{13, pipeline.Admin, nil}
	for name, c := range map[string]struct {
		voices []voice
		open   bool
		says   string
	}{
		"one person of both":            {[]voice{both}, false, "0 of 1 approvals by team:security"},
		"one of each, the wide first":   {[]voice{both, one}, true, ""},
		"one of each, the narrow first": {[]voice{one, both}, true, ""},
		"two of the first only":         {[]voice{one, {14, pipeline.Write, []string{"release"}}}, false, "0 of 1 approvals by team:security"},
		"someone whom nobody names":     {[]voice{none}, false, "0 of 1"},
	} {
		s := stateAfter(gatedBy(rule), card("production", 1, 'e', '2', 15))
		for i, v := range c.voices {
			s = thenComes(s, v.says(20+i))
		}
		gate := s.Gate(s.Places["production"], at(60))
		if gate.Open != c.open || !strings.Contains(gate.Missing, c.says) || gate.Need != 2 {
			t.Errorf("%s: %+v", name, gate)
		}
	}
}

func thenComes(s deploy.State, events []deploy.Event) deploy.State {
	for _, e := range events {
		s = deploy.Apply(s, e)
	}
	return s
}

// Whether a gate opens is compared with trying out every way to put people into groups.
func TestAGateOpensExactlyWhenThePeopleCanBePartedAmongItsGroups(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		teams := []string{"a", "b", "c"}
		var rule pipeline.Approve
		for range rapid.IntRange(1, 3).Draw(t, "groups") {
			part := pipeline.ApproveGroup{Count: rapid.IntRange(1, 2).Draw(t, "count")}
			for _, team := range teams {
				if rapid.Bool().Draw(t, "names") {
					part.By = append(part.By, "team:"+team)
				}
			}
			rule.Groups = append(rule.Groups, part)
		}
		s := stateAfter(gatedBy(rule), card("production", 1, 'e', '2', 15))
		var people []voice
		for i := range rapid.IntRange(0, 6).Draw(t, "people") {
			v := voice{id: int64(20 + i), role: pipeline.Read}
			for _, team := range teams {
				if rapid.Bool().Draw(t, "member") {
					v.teams = append(v.teams, team)
				}
			}
			people = append(people, v)
			s = thenComes(s, v.says(20+i))
		}
		var can func(i int, left []int) bool
		can = func(i int, left []int) bool {
			full := true
			for _, n := range left {
				full = full && n <= 0
			}
			if full || i == len(people) {
				return full
			}
			for g, part := range rule.Groups {
				for _, team := range people[i].teams {
					if strings.Contains(" "+strings.Join(part.By, " ")+" ", " team:"+team+" ") && left[g] > 0 {
						next := append([]int(nil), left...)
						next[g]--
						if can(i+1, next) {
							return true
						}
						break
					}
				}
			}
			return can(i+1, left)
		}
		var counts []int
		for _, part := range rule.Groups {
			counts = append(counts, part.Count)
		}
		if gate := s.Gate(s.Places["production"], at(60)); gate.Open != can(0, counts) {
			t.Fatalf("the gate of %v is open: %v, for %v", rule.Groups, gate.Open, people)
		}
	})
}

func owned(sets ...string) func(*deploy.Card) {
	return func(c *deploy.Card) {
		c.Rules = commit('0')
		for i, set := range sets {
			c.Owners = append(c.Owners, deploy.CardOwners{Owners: strings.Fields(set), Files: 1, Example: fmt.Sprintf("file%d", i)})
		}
	}
}

func TestOwnersOfTheChangedFilesApprove(t *testing.T) {
	t.Parallel()
	rule := pipeline.Approve{By: []string{pipeline.Codeowners}, Count: 1}
	writer := func(id int64, teams ...string) voice { return voice{id, pipeline.Write, teams} }
	for name, c := range map[string]struct {
		sets   []string
		voices []voice
		open   bool
		says   string
	}{
		"the owner by login":                  {[]string{"@Person11"}, []voice{writer(11)}, true, ""},
		"a member of the owning team":         {[]string{"@octo/db"}, []voice{writer(11, "db")}, true, ""},
		"someone else":                        {[]string{"@person11"}, []voice{writer(12)}, false, "0 of 1"},
		"an owner who may only read":          {[]string{"@person11"}, []voice{{11, pipeline.Read, nil}}, false, "0 of 1"},
		"the owner of one file of two":        {[]string{"@person11", "@octo/db"}, []voice{writer(11)}, false, "an owner of `file1` (@octo/db)"},
		"an owner for each file":              {[]string{"@person11", "@octo/db"}, []voice{writer(11), writer(12, "db")}, true, ""},
		"nobody can be known by mail":         {[]string{"person11@example.com"}, []voice{writer(11)}, false, "0 of 1"},
		"a file that only a mail address has": {[]string{"@person11", "x@example.com"}, []voice{writer(11)}, false, "an owner of `file1`"},
		"no file has an owner":                {nil, []voice{writer(11)}, false, "0 of 1"},
	} {
		s := stateAfter(gatedBy(rule), card("production", 1, 'e', '2', 15, owned(c.sets...)))
		for i, v := range c.voices {
			s = thenComes(s, v.says(20+i))
		}
		gate := s.Gate(s.Places["production"], at(60))
		if gate.Open != c.open || !strings.Contains(gate.Missing, c.says) {
			t.Errorf("%s: %+v", name, gate)
		}
	}
}

func TestWhoContributedDoesNotApprove(t *testing.T) {
	t.Parallel()
	rule := pipeline.Approve{By: []string{"maintain"}, Count: 1, NotContributor: true}
	me := pipeline.Actor{ID: 11, Login: "person11"}
	for name, c := range map[string]struct {
		change func(*deploy.Card)
		says   string
	}{
		"someone else":                {func(*deploy.Card) {}, "Approved"},
		"who wrote a commit":          {func(c *deploy.Card) { c.Contributors = append(c.Contributors, me) }, "contributed to what ships"},
		"an author without account":   {func(c *deploy.Card) { c.Unknown = 2 }, "the authors of 2 commits have no account"},
		"too much to know":            {func(c *deploy.Card) { c.CommitsGap = "it is more than 50 commits" }, "it is more than 50 commits"},
		"who was not looked for well": {func(c *deploy.Card) { c.Thorough = false }, "not known yet"},
	} {
		s := stateAfter(gatedBy(rule), card("production", 1, 'e', '2', 15, c.change), voice{11, pipeline.Maintain, nil}.says(20))
		if said := s.Commands["v11"].Say; !strings.Contains(said, c.says) {
			t.Errorf("%s: %s", name, said)
		}
		if open := s.Gate(s.Places["production"], at(60)).Open; open != (c.says == "Approved") {
			t.Errorf("%s: the gate is open: %v", name, open)
		}
	}
}
