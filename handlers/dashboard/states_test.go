package dashboard_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// situations are the states in which a run's page is looked at, each made by the events that lead there.
var situations = map[string]func(*shop) pipeline.RunID{
	"queued": func(s *shop) pipeline.RunID { return s.request(nil) },
	"running": func(s *shop) pipeline.RunID {
		run := s.request(nil)
		s.start(run, "unit", 1)
		s.start(run, "lint", 1)
		s.print(run, "lint", 1, "$ npm run lint\nno warnings\n")
		s.finish(run, "lint", 1, 3*time.Second, passed)
		return run
	},
	"green, waiting for approval": green,
	"green, with what ships": func(s *shop) pipeline.RunID {
		run := green(s)
		s.note(deploy.CardKnown{Environment: "production", Promotion: "production#1", At: s.later(time.Second), Card: deploy.Card{
			Environment: "production", To: deploy.CardSide{Deployment: "production#1", Commit: mergeCommit, Digest: siteDigest},
			Commits:     []deploy.CardCommit{{Commit: mergeCommit, Title: "Ship for free <b>above</b> 50 euros", Author: "mona"}, {Commit: headCommit, Title: "Count the \u202ecart", Author: "no account"}},
			CommitCount: 2, Behind: 1, CommitsGap: "of 2000 commits only 1000 were looked at",
			Pulls: []deploy.CardPull{{Number: 12, Author: author}}, Contributors: []pipeline.Actor{author, maintainer}, FileCount: 14,
			Risky: []deploy.CardFile{{Path: "db/migrations/0007_shipping.sql", Why: "migration"}, {Path: "package-lock.json", Why: "dependencies"}}, RiskyCount: 2,
		}})
		return run
	},
	"green, everything live": func(s *shop) pipeline.RunID {
		run := green(s)
		s.note(
			deploy.Commanded{Repo: repo, Command: deploy.Command{ID: "c/1", Pull: 12, Comment: 5, Actor: maintainer, Verb: deploy.Approve, Environment: "production", Line: "/approve production", At: s.later(time.Minute)}},
			deploy.RoleKnown{Command: "c/1", Role: pipeline.Maintain, At: s.later(time.Second)},
			deploy.DeployStarted{Environment: "production", Deployment: "production#1", Commit: mergeCommit, Digest: siteDigest, At: s.later(time.Second)},
			deploy.DeployFinished{Deployment: "production#1", OK: true, At: s.later(2 * time.Second)},
		)
		return run
	},
	"green, deploying": func(s *shop) pipeline.RunID {
		run := s.request(push)
		allPass(s, run)
		s.note(deploy.DeployStarted{Environment: "staging", Deployment: "staging#1", Commit: mergeCommit, Digest: siteDigest, At: s.later(time.Second)})
		return run
	},
	"green, a deployment failed": func(s *shop) pipeline.RunID {
		run := s.request(push)
		allPass(s, run)
		s.note(
			deploy.DeployStarted{Environment: "staging", Deployment: "staging#1", Commit: mergeCommit, Digest: siteDigest, At: s.later(time.Second)},
			deploy.DeployFinished{Deployment: "staging#1", Reason: "https://staging.shop.example/up answered 500", Restored: true, At: s.later(time.Second)},
		)
		return run
	},
	"green, a preview": func(s *shop) pipeline.RunID {
		run := s.request(nil)
		allPass(s, run)
		s.note(
			deploy.DeployStarted{Environment: "preview/pr-12", Deployment: "preview/pr-12#1", Commit: headCommit, Digest: siteDigest, At: s.later(time.Second)},
			deploy.DeployFinished{Deployment: "preview/pr-12#1", OK: true, At: s.later(time.Second)},
		)
		return run
	},
	"red, with annotations": func(s *shop) pipeline.RunID {
		run := s.request(nil)
		s.start(run, "unit", 1)
		s.start(run, "lint", 1)
		s.print(run, "lint", 1, "$ npm run lint\nno warnings\n")
		s.finish(run, "lint", 1, 3*time.Second, passed)
		s.print(run, "unit", 1, strings.Replace(unitLog, "9 passed\x1b[0m (9)", "8 passed\x1b[0m, \x1b[31m1 failed\x1b[0m (9)", 1)+"\n\x1b[31mError: expected 0 to be 4.9\x1b[0m\n    at src/shipping.test.ts:41:22\n")
		s.finish(run, "unit", 1, 131*time.Second, pipeline.Result{
			Outcome: pipeline.Failed, ExitCode: 1, Reason: "exit code 1", Tests: 128, TestsFailed: 2,
			Annotations: []pipeline.Annotation{
				{Path: "src/shipping.test.ts", Line: 41, Level: "failure", Title: "charges shipping below 50 euros", Message: "AssertionError: expected 0 to be 4.9\n\n- Expected\n+ Received\n\n- 4.9\n+ 0"},
				{Path: "src/cart #2.ts", Line: 7, Level: "warning", Title: "deprecated call", Message: ""},
			},
		})
		return run
	},
	"red, timed out": func(s *shop) pipeline.RunID {
		run := s.request(push)
		s.start(run, "unit", 1)
		s.start(run, "lint", 1)
		s.finish(run, "lint", 1, 3*time.Second, passed)
		s.finish(run, "unit", 1, 30*time.Minute, pipeline.Result{Outcome: pipeline.TimedOut, Reason: "ran into its timeout of 30m0s"})
		return run
	},
	"red, out of time in the queue": func(s *shop) pipeline.RunID {
		run := s.request(push)
		s.tell(run, pipeline.DeadlinePassed{Reason: "none of its steps could begin within 24h", At: s.later(24 * time.Hour)})
		return run
	},
	"green, GitHub limits us": func(s *shop) pipeline.RunID {
		run := green(s)
		s.limited = s.now.Add(20 * time.Minute)
		return run
	},
	"plan problems": func(s *shop) pipeline.RunID {
		return s.request(func(e *pipeline.Requested) {
			e.Plan = pipeline.Plan{}
			e.Problems = []pipeline.Problem{
				{Line: 4, Column: 5, Message: `"stesp" is not known here`, Hint: `did you mean "steps"?`},
				{Line: 19, Column: 21, Message: "the environment production comes after stage, and there is no such environment", Hint: "write after: staging"},
			}
		})
	},
	"cancelled": func(s *shop) pipeline.RunID {
		run := s.request(nil)
		s.start(run, "unit", 1)
		s.print(run, "unit", 1, "$ npm ci\n")
		s.tell(run, pipeline.CancelRequested{Reason: "superseded by 9c8b7a6", At: s.later(21 * time.Second)})
		return run
	},
	"action required": func(s *shop) pipeline.RunID {
		return s.request(func(e *pipeline.Requested) {
			e.Trust, e.Trigger.Fork, e.Trigger.Actor = pipeline.Outside, true, pipeline.Actor{ID: 99, Login: "visitor"}
		})
	},
	"lost attempt, tried again": func(s *shop) pipeline.RunID {
		run := s.request(nil)
		s.start(run, "unit", 1)
		s.print(run, "unit", 1, "$ npm ci\n\nThis attempt was lost: the server stopped while it ran.\n")
		s.tell(run, pipeline.StepLost{Step: "unit", Attempt: 1, Reason: "the server stopped while it ran", At: s.later(time.Second)})
		s.start(run, "unit", 2)
		return run
	},
	"given up": func(s *shop) pipeline.RunID {
		run := s.request(nil)
		s.start(run, "lint", 1)
		s.finish(run, "lint", 1, time.Second, passed)
		for n := 1; n <= pipeline.MaxLost; n++ {
			s.start(run, "unit", n)
			s.tell(run, pipeline.StepLost{Step: "unit", Attempt: n, Reason: "no workspace: no space left on device", At: s.later(time.Second)})
		}
		return run
	},
	"many stages and long names": func(s *shop) pipeline.RunID {
		run := s.request(func(e *pipeline.Requested) {
			e.Plan.Stages = nil
			for i := range 12 {
				stage := pipeline.Stage{Name: fmt.Sprintf("stage-%02d-%s", i+1, strings.Repeat("x", 29))}
				for j := range 5 {
					stage.Steps = append(stage.Steps, pipeline.Step{Name: fmt.Sprintf("step-%02d-%d-%s", i+1, j+1, strings.Repeat("y", 28)), Run: strings.Repeat("make everything ", 20)})
				}
				e.Plan.Stages = append(e.Plan.Stages, stage)
			}
			e.Trigger.Branch = strings.Repeat("a-long-branch-", 15)
			e.Trigger.Title = strings.Repeat("Averylongtitlewithoutanyspace", 8)
		})
		for _, stage := range s.runs[run].Plan.Stages[:7] {
			for _, step := range stage.Steps {
				s.start(run, step.Name, 1)
				s.finish(run, step.Name, 1, 1700*time.Millisecond, passed)
			}
		}
		s.start(run, s.runs[run].Plan.Stages[7].Steps[0].Name, 1)
		return run
	},
	"hostile": func(s *shop) pipeline.RunID {
		run := s.request(func(e *pipeline.Requested) {
			e.Trigger.Title = `</title></h1><script>window.ran=1</script><img src=x onerror="window.ran=1">` + "\u202Etxt.exe\x00"
			e.Trigger.Branch = `"><script>window.ran=1</script>/../..`
			e.Trigger.Actor.Login = `<b onclick="window.ran=1">author`
			e.Plan.Environments[0].URL = "javascript:window.ran=1"
			e.Plan.Stages[0].Steps[0].Run = "</pre><script>window.ran=1</script>"
		})
		s.note(deploy.Defined{Repo: repo, Commit: mergeCommit, Pushed: true, Plan: "q", Environments: []pipeline.Environment{
			{Name: "preview", On: pipeline.EnvOn{PullRequest: true}, Artifact: "site", URL: "javascript:window.ran=1"}}})
		s.start(run, "unit", 1)
		s.start(run, "lint", 1)
		s.finish(run, "lint", 1, time.Second, passed)
		s.print(run, "unit", 1, hostileLog)
		s.finish(run, "unit", 1, time.Second, pipeline.Result{Outcome: pipeline.Passed, Reason: "", Annotations: []pipeline.Annotation{
			{Path: `javascript:window.ran=1//"><script>window.ran=1</script>`, Line: 1, Level: `failure" onclick="window.ran=1`, Title: "<script>window.ran=1</script>", Message: "</pre><script>window.ran=1</script>\x1b[31m\u202e"},
		}})
		s.start(run, "site", 1)
		s.finish(run, "site", 1, time.Second, built)
		s.end(run)
		s.note(
			deploy.DeployStarted{Environment: "preview/pr-12", Deployment: "preview/pr-12#1", Commit: headCommit, Digest: siteDigest, At: s.later(time.Second)},
			deploy.DeployFinished{Deployment: "preview/pr-12#1", OK: true, At: s.later(time.Second)},
		)
		return run
	},
}

// hostileLog is what a step prints that wants to break out of the page, or to lie to who reads it.
const hostileLog = "<script>window.ran=1</script>\n" +
	"<img src=x onerror=window.ran=1>\n" +
	"</pre></section><svg onload=window.ran=1>\n" +
	"\x1b]8;;javascript:window.ran=1\x1b\\a link\x1b]8;;\x1b\\ of a terminal\n" +
	"\x1b]8;;javascript:window.ran=1\x07another\x1b]8;;\x07\n" +
	"\x1b]0;a title\x07after the title\n" +
	"\x1b]8;;never ended\n" +
	"\x1b[31mred \x1b[1mand bold\x1b[0m \x1b[38;5;208morange\x1b[0m \x1b[38;2;10;10;10mdark\x1b[0m \x1b[30mblack\x1b[0m \x1b[4munder\x1b[24m\n" +
	"\x1b[2J\x1b[1;1Hnothing is erased\x1b[K\n" +
	"[progress   ]\r[=====      ]\r[==========] done\r\n" +
	"right to left: \u202eexe.txt\u202c and \u2066isolated\u2069, שלום\n" +
	"a null \x00 byte, a bell \x07, a C1 \xc2\x9b31m control, and \xff\xfe bytes that are no text\n" +
	"data: not an event\n\nevent: end\nid: 1\n\n" +
	"javascript:window.ran=1 https://example.com\n" +
	"&lt;b&gt; {{.Title}} ${1} `x`\n"

// allPass lets every step pass, and reports the end to the repository.
func allPass(s *shop, run pipeline.RunID) {
	s.start(run, "unit", 1)
	s.print(run, "unit", 1, unitLog)
	s.start(run, "lint", 1)
	s.print(run, "lint", 1, "\x1b[1m$ npm run lint\x1b[0m\nno warnings\n")
	s.finish(run, "lint", 1, 3200*time.Millisecond, passed)
	s.finish(run, "unit", 1, 11*time.Second, tested)
	s.start(run, "site", 1)
	s.print(run, "site", 1, siteLog)
	s.finish(run, "site", 1, 12400*time.Millisecond, built)
	s.end(run)
}

func (s *shop) end(run pipeline.RunID) {
	s.mu.Lock()
	state := s.runs[run]
	s.mu.Unlock()
	s.note(deploy.RunEnded{Run: run, Conclusion: state.Conclusion(), Artifacts: state.Artifacts(), At: s.later(0)})
	s.tell(run, pipeline.Reported{At: s.later(0)})
}

// green is a merge that passed, is on staging, and waits for production.
func green(s *shop) pipeline.RunID {
	s.note(deploy.PullSeen{Number: 12, Merged: true, Head: headCommit, MergeCommit: mergeCommit, Branch: "free-shipping", Base: "main", Author: author, Updated: s.later(time.Second)})
	run := s.request(push)
	allPass(s, run)
	s.note(
		deploy.DeployStarted{Environment: "staging", Deployment: "staging#1", Commit: mergeCommit, Digest: siteDigest, At: s.later(time.Second)},
		deploy.DeployFinished{Deployment: "staging#1", OK: true, At: s.later(1400 * time.Millisecond)},
	)
	return run
}
