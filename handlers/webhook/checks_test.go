package webhook_test

import (
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/handlers/webhook"
	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestOnlyAPersonsPressAtOurOwnCheckCommands(t *testing.T) {
	t.Parallel()
	const rerun, press = "check_run/rerequested-own-app.json", "check_run/requested_action-own-app.json"
	ours := "run/500001/72d3162e conveyor / test #2"
	of := func(name string, put map[string]any) webhook.Heard {
		all := map[string]any{"check_run.external_id": ours, "check_run.name": "conveyor / test"}
		if name == press {
			all["requested_action.identifier"] = "approve/production"
		}
		for k, v := range put {
			all[k] = v
		}
		return spoken(t, name, all)
	}
	for name, want := range map[string]deploy.Command{
		rerun: {Verb: deploy.Retest, Button: deploy.Rerequested},
		press: {Verb: deploy.Approve, Button: "approve/production"},
	} {
		h := of(name, nil)
		if len(h.Commands) != 1 {
			t.Fatalf("%s: %+v", name, h)
		}
		c := h.Commands[0]
		if c.Verb != want.Verb || c.Button != want.Button || c.Check != "conveyor / test" || c.Run != "run/500001/72d3162e" ||
			c.Commit != "bfdda69b2c6824ee178250363df91409f82cf48e" || c.Actor.Login != "mona-m" {
			t.Errorf("%s: %+v", name, c)
		}
		for why, put := range map[string]map[string]any{
			"created":             {"action": "created"},
			"another App's check": {"check_run.app.id": 4202},
			"no App":              {"check_run.app": nil},
			"a branch":            {"check_run.head_sha": "main"},
			"no commit":           {"check_run.head_sha": nil},
			"a bot":               {"sender.type": "Bot"},
			"nobody":              {"sender.id": 0},
			"no name":             {"check_run.name": ""},
		} {
			if h := of(name, put); h.Ignored == "" {
				t.Errorf("%s, %s: %+v", name, why, h.Commands)
			}
		}
	}
	for id, want := range map[string]deploy.Verb{
		"approve/production": deploy.Approve, "deploy/staging": deploy.Promote, "rollback/production": deploy.Rollback,
		"approve~0123456789ab": deploy.Approve, "cancel": deploy.Cancel,
		"approve": "", "approve/": "", "lock/production": "", "cancel/x": "", strings.Repeat("approve/", 9): "",
	} {
		h := of(press, map[string]any{"requested_action.identifier": id})
		switch {
		case want == "" && h.Ignored == "":
			t.Errorf("%q is taken for %+v", id, h.Commands)
		case want != "" && (len(h.Commands) != 1 || h.Commands[0].Verb != want):
			t.Errorf("%q is heard as %+v", id, h)
		}
	}
	if h := of(rerun, map[string]any{"check_run.external_id": "run/500002/72d3162e conveyor / test"}); h.Commands[0].Run != "" {
		t.Errorf("the run of another repository is taken for one of this one: %s", h.Commands[0].Run)
	}
	if h := spoken(t, "check_suite/rerequested.json", nil); len(h.Commands) != 1 || h.Commands[0].Check != "" || h.Commands[0].Verb != deploy.Retest {
		t.Errorf("the suite is heard as %+v", h)
	}
	if h := spoken(t, "check_suite/rerequested.json", map[string]any{"check_suite.app.id": 1}); h.Ignored == "" {
		t.Error("another App's suite is heard")
	}
}

func TestAMergeGroupIsTestedUntilItIsGone(t *testing.T) {
	t.Parallel()
	const asked = "merge_group/checks_requested.json"
	h := spoken(t, asked, nil)
	if tr := h.Trigger; tr == nil || tr.Kind != pipeline.MergeGroup || tr.Base != "main" || !tr.Before.Valid() || tr.Title == "" {
		t.Fatalf("%+v", h)
	}
	for why, put := range map[string]map[string]any{
		"another branch": {"merge_group.head_ref": "refs/heads/main"},
		"a tag":          {"merge_group.head_ref": "refs/tags/gh-readonly-queue/x"},
		"no base":        {"merge_group.base_ref": "refs/heads/"},
		"no commit":      {"merge_group.head_sha": "main"},
		"no group":       {"merge_group": nil},
		"another action": {"action": "rebuilt"},
	} {
		if h := spoken(t, asked, put); h.Ignored == "" {
			t.Errorf("%s: %+v", why, h.Trigger)
		}
	}
	for _, reason := range []string{"merged", "invalidated", "dequeued"} {
		if h := spoken(t, "merge_group/destroyed-"+reason+".json", nil); h.Gone == nil || h.Gone.Reason != reason || !h.Gone.Commit.Valid() {
			t.Errorf("%s: %+v", reason, h)
		}
	}
}

func TestAPullRequestIntoAnotherBaseStartsARun(t *testing.T) {
	t.Parallel()
	edit := map[string]any{"action": "edited"}
	if h := spoken(t, "pull_request/opened-same-repo.json", edit); h.Trigger != nil || h.Pull == nil {
		t.Errorf("a new title starts %+v", h.Trigger)
	}
	edit["changes"] = map[string]any{"base": map[string]any{"ref": map[string]any{"from": "next"}}}
	if h := spoken(t, "pull_request/opened-same-repo.json", edit); h.Trigger == nil || h.Trigger.Base != "main" {
		t.Errorf("a new base starts %+v", h.Trigger)
	}
	if h := spoken(t, "pull_request/opened-fork-stranger.json", edit); h.Trigger == nil || h.Trigger.Actor.ID != 0 {
		t.Errorf("who edits a fork's pull request is taken for the one who pushed: %+v", h.Trigger)
	}
}
