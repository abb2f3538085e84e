package deploy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestTheAuditTellsEachWordAndEachDeployment(t *testing.T) {
	t.Parallel()
	var s deploy.State
	var told []string
	for _, e := range chain(shipped(),
		say("c0", lena, deploy.Approve, "production", 20), role("c0", pipeline.Read, 20),
		say("c1", hubot, deploy.Approve, "production", 20), role("c1", pipeline.Maintain, 21),
		role("c1", pipeline.Maintain, 21), // said twice, and decided once
		card("production", 1, 'e', '2', 22, func(c *deploy.Card) { c.FileCount = 9 }),
		start("production", 1, 'e', '2', 23), // too late: nothing happens
		say("c2", hubot, deploy.Approve, "production", 24), role("c2", pipeline.Maintain, 24),
		start("production", 1, 'e', '2', 25), start("production", 1, 'e', '2', 25), done("production", 1, 26), done("production", 1, 26),
		run(pipeline.Push, 'f', '3', 30), start("staging", 2, 'f', '3', 32), done("staging", 2, 33), card("production", 2, 'f', '3', 34, from("production", 1, 'e', '2')),
		say("c3", hubot, deploy.Approve, "production", 40, func(c *deploy.Command) { c.Commit = "fffffff" }), role("c3", pipeline.Maintain, 41),
		run(pipeline.Push, 'd', '4', 50), start("staging", 3, 'd', '4', 52), done("staging", 3, 53),
		say("c4", hubot, deploy.Retest, "", 60), role("c4", pipeline.Maintain, 61)) {
		before := s
		s = deploy.Apply(s, e)
		for _, entry := range deploy.Audit(before, s, e) {
			var who []string
			for _, a := range entry.Approvals {
				who = append(who, a.Actor.Login+"/"+a.Command)
			}
			told = append(told, strings.TrimSpace(fmt.Sprintf("%s %s %s %v", entry.What, entry.Deployment, strings.Join(who, ","), entry.OK)))
		}
	}
	got, want := strings.Join(told, "\n"), `start preview/pr-12#1  false
finish preview/pr-12#1  true
start staging#1  false
finish staging#1  true
refusal production#1  false
approval production#1 hubot/c1 false
void production#1 hubot/c1 false
approval production#1 hubot/c2 false
start production#1  false
finish production#1  true
start staging#2  false
finish staging#2  true
approval production#2 hubot/c3 false
start staging#3  false
finish staging#3  true
void production#2 hubot/c3 false`
	lines := strings.Split(got, "\n")
	wanted := strings.Split(want, "\n")
	for i := range max(len(lines), len(wanted)) {
		a, b := "", ""
		if i < len(lines) {
			a = lines[i]
		}
		if i < len(wanted) {
			b = wanted[i]
		}
		if a != b {
			t.Errorf("line %d is %q, and should be %q\nall:\n%s", i+1, a, b, got)
			return
		}
	}
}
