package webhook_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/handlers/webhook"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/test/golden"
)

func heard(event string, body []byte) webhook.Heard {
	return webhook.Translate(webhook.Delivery{Source: "app/4201", GUID: "72d3162e", Event: event, Body: body, ReceivedAt: noon})
}

// TestEveryExampleIsHeardAsWritten translates GitHub's own examples, and ours, one golden file for each event.
func TestEveryExampleIsHeardAsWritten(t *testing.T) {
	t.Parallel()
	byEvent := map[string]map[string]webhook.Heard{}
	for name, body := range examples(t) {
		e := event(name)
		if byEvent[e] == nil {
			byEvent[e] = map[string]webhook.Heard{}
		}
		h := heard(e, body)
		makesSense(t, name, h)
		byEvent[e][strings.NewReplacer("webhook-examples-synthetic/", "ours/", "webhook-examples/", "published/").Replace(name)] = h
	}
	for e, all := range byEvent {
		t.Run(e, func(t *testing.T) {
			golden.Equal(t, "testdata/heard/"+e+".txt", render(t, all))
		})
	}
}

// render writes what is heard as people read it: one line for what is ignored, JSON for the rest.
func render(t *testing.T, all map[string]webhook.Heard) string {
	t.Helper()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		h := all[name]
		fmt.Fprintf(&b, "%s\n", name)
		if h.Ignored != "" {
			fmt.Fprintf(&b, "  ignored: %s\n", h.Ignored)
			continue
		}
		if h.Trigger != nil {
			field(t, &b, "trigger", h.Trigger)
		}
		if h.Pull != nil {
			field(t, &b, "pull", h.Pull)
		}
		for _, c := range h.Commands {
			field(t, &b, "command", c)
		}
		if h.Voided != nil {
			field(t, &b, "voided", h.Voided)
		}
		if h.Gone != nil {
			field(t, &b, "gone", h.Gone)
		}
		if h.Changed != nil {
			field(t, &b, "changed", h.Changed)
			continue
		}
		field(t, &b, "repo", h.Repo)
	}
	return b.String()
}

func field(t *testing.T, b *strings.Builder, name string, v any) {
	t.Helper()
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("  ", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(b, "  %s: %s", name, text.String())
}

// makesSense holds what the house may rely on, whatever the payload.
func makesSense(t testing.TB, name string, h webhook.Heard) {
	t.Helper()
	nothing := h.Trigger == nil && h.Pull == nil && len(h.Commands) == 0 && h.Voided == nil && h.Gone == nil && h.Changed == nil
	if nothing != (h.Ignored != "") {
		t.Fatalf("%s: nothing is heard (%v), and the reason is %q", name, nothing, h.Ignored)
	}
	if nothing {
		if h.Repo != (pipeline.Repo{}) || len(h.Ignored) > 300 {
			t.Fatalf("%s: ignored, but with %+v, %q", name, h.Repo, h.Ignored)
		}
		return
	}
	if c := h.Changed; c != nil {
		if c.Installation <= 0 || c.Event.What == "" || c.Event.At.IsZero() || c.Event.Shut && c.Event.Opens || h.Repo != (pipeline.Repo{}) {
			t.Fatalf("%s: the change is %+v", name, c)
		}
		for _, r := range c.Repos {
			if r.ID <= 0 || r.Owner == "" || r.Name == "" || strings.Contains(r.Owner+r.Name, "/") || r.Installation != c.Installation {
				t.Fatalf("%s: the changed repository is %+v", name, r)
			}
		}
		return
	}
	if h.Repo.ID <= 0 || h.Repo.Installation <= 0 || h.Repo.Owner == "" || h.Repo.Name == "" || strings.Contains(h.Repo.Owner+h.Repo.Name, "/") {
		t.Fatalf("%s: the repository is %+v", name, h.Repo)
	}
	if tr := h.Trigger; tr != nil {
		if !tr.Commit.Valid() || tr.Repo != h.Repo || tr.Delivery == "" || tr.Actor.ID <= 0 && !(h.Rebased && tr.Fork) || tr.At.IsZero() || tr.Before != "" && !tr.Before.Valid() {
			t.Fatalf("%s: the trigger is %+v", name, tr)
		}
		switch tr.Kind {
		case pipeline.Push:
			if tr.Ref != "refs/heads/"+tr.Branch || tr.Branch == "" || tr.Pull != 0 || tr.Fork {
				t.Fatalf("%s: the push is %+v", name, tr)
			}
		case pipeline.PullRequest:
			if tr.Ref != fmt.Sprintf("refs/pull/%d/head", tr.Pull) || tr.Pull <= 0 || h.Pull == nil || h.Pull.Head != tr.Commit || h.Pull.Fork != tr.Fork {
				t.Fatalf("%s: the trigger is %+v of %+v", name, tr, h.Pull)
			}
		case pipeline.MergeGroup:
			if tr.Ref != "refs/heads/"+tr.Branch || !strings.HasPrefix(tr.Branch, "gh-readonly-queue/") || tr.Base == "" || tr.Pull != 0 || tr.Fork {
				t.Fatalf("%s: the merge group is %+v", name, tr)
			}
		default:
			t.Fatalf("%s: the trigger is of the kind %q", name, tr.Kind)
		}
	}
	if p := h.Pull; p != nil {
		if p.Number <= 0 || !p.Head.Valid() || p.Author.ID <= 0 || p.Updated.IsZero() || p.MergeCommit != "" && !p.Merged {
			t.Fatalf("%s: the pull request is %+v", name, p)
		}
	}
	for _, c := range h.Commands {
		said := c.Pull > 0 && c.Comment > 0 && c.Button == ""
		pressed := c.Pull == 0 && c.Comment == 0 && c.Button != "" && pipeline.Commit(c.Commit).Valid()
		if c.ID == "" || said == pressed || c.Actor.ID <= 0 || c.Actor.Bot || c.At.IsZero() {
			t.Fatalf("%s: the command is %+v", name, c)
		}
	}
}

func TestPayloadsOfOtherProjectsAreHeardWithoutSurprise(t *testing.T) {
	t.Parallel()
	for name, body := range extra(t) {
		makesSense(t, name, heard(event(name), body))
	}
}

// TestNoPayloadIsRefusedForOneOddField replaces each field of real payloads in turn by values of other types.
func TestNoPayloadIsRefusedForOneOddField(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"webhook-examples-synthetic/push/ordinary-3-commits.json",
		"webhook-examples-synthetic/pull_request/opened-fork-stranger.json",
		"webhook-examples-synthetic/issue_comment/pr-promote-member.json",
		"webhook-examples-synthetic/repository/transferred.json",
	} {
		var doc map[string]any
		if err := json.Unmarshal(example(t, name), &doc); err != nil {
			t.Fatal(err)
		}
		n := 0
		each(doc, func(put func(any), old any) {
			for _, odd := range []any{nil, "x", -1.0, 1e300, []any{1.0}, map[string]any{"id": "x"}} {
				put(odd)
				body, err := json.Marshal(doc)
				if err != nil {
					t.Fatal(err)
				}
				makesSense(t, name, heard(event(name), body))
				n++
			}
			put(old)
		})
		if n < 200 {
			t.Fatalf("%s: only %d odd payloads were tried", name, n)
		}
	}
}

// each visits the fields that are read, three levels deep; lists of commits and labels are passed over.
func each(m map[string]any, visit func(put func(any), old any)) {
	for k, v := range m {
		if k == "sender" || k == "repository" || k == "pull_request" || k == "issue" || k == "comment" || k == "head" || k == "base" || k == "repo" || k == "user" || k == "owner" || k == "installation" {
			if inner, ok := v.(map[string]any); ok {
				each(inner, visit)
			}
		}
		if !strings.HasSuffix(k, "_url") {
			visit(func(v any) { m[k] = v }, v)
		}
	}
}

func TestTheSameDeliveryIsAlwaysHeardTheSame(t *testing.T) {
	t.Parallel()
	for name, body := range examples(t) {
		if a, b := heard(event(name), body), heard(event(name), bytes.Clone(body)); !reflect.DeepEqual(a, b) {
			t.Fatalf("%s is heard as %+v, then as %+v", name, a, b)
		}
	}
}

// spoken is one of our examples with fields put in place, named by their path.
func spoken(t *testing.T, name string, put map[string]any) webhook.Heard {
	t.Helper()
	h := heard(name[:strings.IndexByte(name, '/')], spokenBody(t, name, put))
	makesSense(t, name, h)
	return h
}

func spokenBody(t *testing.T, name string, put map[string]any) []byte {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(example(t, "webhook-examples-synthetic/"+name), &doc); err != nil {
		t.Fatal(err)
	}
	for path, v := range put {
		at := doc
		keys := strings.Split(path, ".")
		for _, k := range keys[:len(keys)-1] {
			at = at[k].(map[string]any)
		}
		at[keys[len(keys)-1]] = v
	}
	body, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestAPushIsHeardOnBranchesOnly(t *testing.T) {
	t.Parallel()
	const of = "push/ordinary-3-commits.json"
	if h := spoken(t, of, nil); h.Trigger == nil || h.Trigger.Branch != "main" || h.Trigger.Title != "change 2" || !h.Trigger.At.Equal(time.Unix(1557933657, 0)) {
		t.Fatalf("%+v", h.Trigger)
	}
	for why, put := range map[string]map[string]any{
		"a tag":            {"ref": "refs/tags/v1"},
		"a note":           {"ref": "refs/notes/commits"},
		"no branch":        {"ref": "refs/heads/"},
		"no ref":           {"ref": nil},
		"the merge queue":  {"ref": "refs/heads/gh-readonly-queue/main/pr-1-abc"},
		"deleted":          {"deleted": true},
		"the zero commit":  {"after": strings.Repeat("0", 40)},
		"no commit":        {"after": nil},
		"a short commit":   {"after": "bfdda69"},
		"a branch name":    {"after": "main"},
		"no installation":  {"installation": nil},
		"no sender":        {"sender": nil},
		"a path as owner":  {"repository.owner.login": "../../x"},
		"a path as name":   {"repository.name": ".."},
		"no repository id": {"repository.id": 0},
	} {
		if h := spoken(t, of, put); h.Ignored == "" {
			t.Errorf("%s: %+v", why, h.Trigger)
		}
	}
	if h := spoken(t, of, map[string]any{"before": strings.Repeat("0", 40)}); h.Trigger.Before != "" {
		t.Errorf("a new branch held %q before", h.Trigger.Before)
	}
	if h := spoken(t, of, map[string]any{"repository.pushed_at": nil}); !h.Trigger.At.Equal(noon) {
		t.Errorf("without GitHub's time the push is of %s", h.Trigger.At)
	}
	if h := spoken(t, of, map[string]any{"head_commit.message": "a\u202eb\x1b[31m" + strings.Repeat("é", 300) + "\nsecond"}); h.Trigger.Title != "ab[31m"+strings.Repeat("é", 194)+"…" {
		t.Errorf("the title is %q", h.Trigger.Title)
	}
}

func TestAForkIsAForkEvenWhenItIsGone(t *testing.T) {
	t.Parallel()
	if h := spoken(t, "pull_request/opened-same-repo.json", nil); h.Pull.Fork || h.Trigger.Fork || h.Trigger.Pull != h.Pull.Number {
		t.Fatalf("%+v", h.Pull)
	}
	for _, of := range []string{"pull_request/opened-fork-stranger.json", "pull_request/reopened-fork-deleted-head-null.json"} {
		if h := spoken(t, of, nil); !h.Pull.Fork || !h.Trigger.Fork {
			t.Errorf("%s: %+v", of, h.Pull)
		}
	}
}

func TestOnlyANewHeadStartsARun(t *testing.T) {
	t.Parallel()
	for action, want := range map[string]string{
		"opened": "trigger pull", "synchronize": "trigger pull", "reopened": "trigger pull",
		"closed": "pull", "edited": "pull", "converted_to_draft": "pull", "ready_for_review": "pull",
		"labeled": "ignored", "assigned": "ignored", "enqueued": "ignored", "": "ignored", "Opened": "ignored", "unheard_of": "ignored",
	} {
		h := spoken(t, "pull_request/opened-same-repo.json", map[string]any{"action": action})
		got := "ignored"
		if h.Pull != nil {
			got = "pull"
		}
		if h.Trigger != nil {
			got = "trigger " + got
		}
		if got != want {
			t.Errorf("%q gives %s, want %s", action, got, want)
		}
		if h.Pull != nil && h.Pull.Reopened != (action == "reopened") {
			t.Errorf("%q: reopened is %v", action, h.Pull.Reopened)
		}
	}
	if h := spoken(t, "pull_request/opened-same-repo.json", map[string]any{"pull_request.user": nil}); h.Pull.Author.Login != "ghost" {
		t.Errorf("the author who is gone is %+v", h.Pull.Author)
	}
	if h := spoken(t, "pull_request/closed-merged.json", nil); h.Pull.Open || !h.Pull.Merged || !h.Pull.MergeCommit.Valid() {
		t.Errorf("merged: %+v", h.Pull)
	}
	if h := spoken(t, "pull_request/opened-same-repo.json", map[string]any{"pull_request.merge_commit_sha": strings.Repeat("a", 40)}); h.Pull.MergeCommit != "" {
		t.Error("the trial merge of an open pull request is taken for its merge")
	}
}

func TestOnlyAPersonsNewCommentOnAPullRequestCommands(t *testing.T) {
	t.Parallel()
	const of = "issue_comment/pr-promote-member.json"
	say := func(put map[string]any) webhook.Heard {
		all := map[string]any{"comment.body": "/approve production@bfdda69\r\n/help\r\n"}
		maps.Copy(all, put)
		return spoken(t, of, all)
	}
	h := say(nil)
	if len(h.Commands) != 2 || h.Commands[0].Environment != "production" || h.Commands[0].Commit != "bfdda69" || h.Commands[0].ID == h.Commands[1].ID {
		t.Fatalf("%+v", h)
	}
	for why, put := range map[string]map[string]any{
		"edited":           {"action": "edited"},
		"deleted":          {"action": "deleted"},
		"an issue":         {"issue.pull_request": nil},
		"a bot":            {"sender.type": "Bot"},
		"a bot's name":     {"sender.login": "conveyor[bot]"},
		"another's words":  {"comment.user.id": 999},
		"nobody's words":   {"comment.user": nil},
		"edited meanwhile": {"comment.updated_at": "2019-05-15T15:20:22Z"},
		"too long":         {"comment.body": "/help\n" + strings.Repeat("x", 17<<10)},
		"no command":       {"comment.body": "looks good"},
		"no body":          {"comment.body": nil},
	} {
		if h := say(put); len(h.Commands) > 0 || h.Ignored == "" && h.Voided == nil {
			t.Errorf("%s: %+v", why, h.Commands)
		}
	}
}

func TestAChangedCommentTakesItsApprovalBackAndCommandsNothing(t *testing.T) {
	t.Parallel()
	const of = "issue_comment/pr-promote-member.json"
	edited := func(from string, put map[string]any) webhook.Heard {
		all := map[string]any{"action": "edited", "comment.body": "/deploy staging", "changes": map[string]any{"body": map[string]any{"from": from}}, "comment.updated_at": "2019-05-15T15:30:21Z"}
		maps.Copy(all, put)
		return spoken(t, of, all)
	}
	for name, h := range map[string]webhook.Heard{
		"an approval":       edited("/approve production@bfdda69", nil),
		"a rollback":        edited("thanks\n/rollback production", nil),
		"kept in the edit":  edited("/approve production", map[string]any{"comment.body": "/approve production"}),
		"edited by another": edited("/approve production", map[string]any{"sender.id": 999}),
		"edited by a bot":   edited("/approve production", map[string]any{"sender.type": "Bot"}),
		"deleted":           spoken(t, of, map[string]any{"action": "deleted", "comment.body": "/approve production"}),
	} {
		if h.Voided == nil || h.Voided.Comment == 0 || h.Voided.Pull == 0 || len(h.Commands) != 0 {
			t.Errorf("%s: %+v", name, h)
		}
	}
	for name, h := range map[string]webhook.Heard{
		"another command":        edited("/deploy staging", nil),
		"an approval in code":    edited("`/approve production`", nil),
		"a mistake":              edited("/approve production please", nil),
		"an approval put in":     edited("looks good", map[string]any{"comment.body": "/approve production"}),
		"a title that changed":   edited("", map[string]any{"changes": map[string]any{"title": map[string]any{"from": "/approve production"}}}),
		"on an issue":            edited("/approve production", map[string]any{"issue.pull_request": nil}),
		"a deleted conversation": spoken(t, of, map[string]any{"action": "deleted", "comment.body": "never mind"}),
	} {
		if h.Ignored == "" {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

func TestAnAppCommandsOnlyWhenItIsListedByItsNumber(t *testing.T) {
	t.Parallel()
	body := func(put map[string]any) webhook.Delivery {
		all := map[string]any{"comment.body": "/deploy staging", "sender.type": "Bot", "sender.login": "release[bot]", "performed": nil}
		maps.Copy(all, put)
		return webhook.Delivery{GUID: "g", Event: "issue_comment", Body: spokenBody(t, "issue_comment/pr-promote-member.json", all), ReceivedAt: noon}
	}
	via := func(id any) map[string]any {
		return map[string]any{"comment.performed_via_github_app": map[string]any{"id": id}}
	}
	if h := webhook.Translate(body(via(77)), 5, 77); len(h.Commands) != 1 || !h.Commands[0].Actor.Bot || h.Commands[0].App != 77 {
		t.Errorf("a listed App: %+v", h)
	}
	for name, h := range map[string]webhook.Heard{
		"no list":     webhook.Translate(body(via(77))),
		"another one": webhook.Translate(body(via(77)), 5),
		"no App":      webhook.Translate(body(nil), 5, 77, -1, 0),
		"App zero":    webhook.Translate(body(via(0)), 0, -1),
	} {
		if h.Ignored == "" {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

func FuzzTranslate(f *testing.F) {
	for name, body := range examples(f) {
		if e := event(name); e == "push" || e == "pull_request" || e == "issue_comment" || strings.HasPrefix(e, "installation") || e == "repository" {
			f.Add(e, body)
		}
	}
	f.Add("installation", []byte(`{"action":"created"}`))
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		makesSense(t, event, heard(event, body))
	})
}
