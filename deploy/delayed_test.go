package deploy_test

import (
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestADelayedStartIsShownAndStaysOwedUntilItHappens(t *testing.T) {
	t.Parallel()
	owes := func(s deploy.State) bool {
		for _, e := range deploy.Next(s) {
			if e == (deploy.Deploy{Environment: "production", Deployment: "production#1"}) {
				return true
			}
		}
		return false
	}
	shown := func(s deploy.State) string {
		for _, r := range s.Standing(commit('e')) {
			if r.Environment == "production" {
				return r.State + ": " + r.Detail
			}
		}
		return ""
	}
	s := fold(deploy.State{}, shipped(), asked("c1", hubot, pipeline.Maintain, deploy.Approve, "production", 20),
		deploy.DeployDelayed{Environment: "production", Promotion: "production#1", Reason: "the disk is full", At: at(21)})
	if got := shown(s); got != "waiting: approved; the disk is full" || !owes(s) {
		t.Errorf("it shows %q, and owes its deployment: %v", got, owes(s))
	}
	if why := s.WhyPlace("production", at(22)).Markdown(); !strings.Contains(why, "it is tried again and again: the disk is full") {
		t.Errorf("/why says %s", why)
	}
	late := fold(s, deploy.DeployDelayed{Environment: "production", Promotion: "production#0", Reason: "late", At: at(22)})
	if got := shown(late); strings.Contains(got, "late") {
		t.Errorf("what delays another promotion is shown: %s", got)
	}
	s = fold(s, start("production", 1, 'e', '2', 23))
	if got := shown(s); strings.Contains(got, "disk") || s.Places["production"].Flight == nil {
		t.Errorf("after the start it shows %q", got)
	}
}
