package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/test/github"
	"github.com/conveyor-ci/conveyor/test/golden"
)

// kept writes one of the kept examples into a file of the same name.
func kept(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, examples(t)[name], 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// changing is what no two replays print alike: the key of a run's page.
var changing = regexp.MustCompile(`(/runs/\d+/[0-9a-f-]+)[^\s")]*`)

// numbered begins each call of a replay.
var numbered = regexp.MustCompile(`(?m)^ *\d+  ([A-Z])`)

// inOrder sorts the calls of a replay: some are made side by side.
func inOrder(out string) string {
	head, calls, _ := strings.Cut(numbered.ReplaceAllString(out, "\x00  $1"), "\x00")
	each := strings.Split(calls, "\x00")
	slices.Sort(each)
	return head + strings.Join(each, "")
}

func TestAReplayTellsTheDecisionAndEachCall(t *testing.T) {
	t.Parallel()
	mistaken := filepath.Join(t.TempDir(), "conveyor.yml")
	if err := os.WriteFile(mistaken, []byte("version: 1\non: {push: {}}\nstagse: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, example := range map[string]struct {
		file string
		args []string
	}{
		"push":    {"push/ordinary-3-commits", nil},
		"mistake": {"push/ordinary-3-commits", []string{"--plan", mistaken}},
		"deleted": {"push/branch-deleted", nil},
		"command": {"issue_comment/pr-promote-member", []string{"--guid", "11111111-2222"}},
		"reader":  {"issue_comment/pr-promote-member", []string{"--role", "read"}},
		"merged":  {"pull_request/closed-merged", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"replay", kept(t, "webhook-examples-synthetic/"+example.file+".json")}, example.args...)
			code, out := say(t, nil, "conveyor", args...)
			if code != 0 {
				t.Fatalf("exit code %d:\n%s", code, out)
			}
			golden.Equal(t, "testdata/replay/"+name+".txt", inOrder(changing.ReplaceAllString(out, "$1")))
		})
	}
}

// A pull request's run and its panel are told side by side, so that only what is called is sure, and not in which order.
func TestAReplayOfAPullRequestMakesItsCheckAndItsPanel(t *testing.T) {
	t.Parallel()
	for file, trusted := range map[string]bool{"opened-same-repo": true, "opened-fork-stranger": false} {
		role := "write"
		if !trusted {
			role = "none"
		}
		code, out := say(t, nil, "conveyor", "replay", "--json", "--role", role, kept(t, "webhook-examples-synthetic/pull_request/"+file+".json"))
		var got struct {
			Decision struct{ What, Why string }
			Steps    []string
			Calls    []struct {
				Method, Path string
				Status       int
				Body         map[string]any
			}
		}
		if err := json.Unmarshal([]byte(out), &got); code != 0 || err != nil || got.Decision.What != "run" {
			t.Fatalf("%s: %d %v\n%s", file, code, err, out)
		}
		made := map[string]int{}
		for _, c := range got.Calls {
			if c.Status/100 != 2 {
				t.Errorf("%s: %s %s was answered with %d", file, c.Method, c.Path, c.Status)
			}
			made[c.Method+" "+c.Path]++
		}
		for _, want := range []string{"POST /repos/acme-labs/widget/check-runs", "POST /repos/acme-labs/widget/issues/18/comments"} {
			if made[want] != 1 && trusted {
				t.Errorf("%s: %s was called %d times: %v", file, want, made[want], made)
			}
		}
	}
}

func TestAReplayOfADeliveryReadsItFromTheJournal(t *testing.T) {
	t.Parallel()
	h := open(t, func(h *house) { h.config.Sandbox = "none" })
	sha := h.push("main", "author", "first", plan("true"))
	h.concluded(sha, "conveyor / test")
	guid := ""
	h.gh.Look(func(v *github.View) {
		for _, d := range v.Deliveries() {
			if d.Event == "push" {
				guid = d.GUID
			}
		}
	})
	// The server is running all the while.
	code, out := say(t, nil, "conveyor", "replay", "--data-dir", h.config.DataDir, guid)
	if code != 0 || !strings.Contains(out, "decision  run: run/") || !strings.Contains(out, sha) {
		t.Errorf("%d\n%s", code, out)
	}
	h.ends()
	if code, out = say(t, nil, "conveyor", "replay", "--data-dir", h.config.DataDir, "no-such-delivery"); code != 1 || !strings.Contains(out, "knows no delivery no-such-delivery") {
		t.Errorf("%d\n%s", code, out)
	}
}

func TestAReplayOfADeliveryThatWasExportedKnowsItsEvent(t *testing.T) {
	t.Parallel()
	body := examples(t)["webhook-examples-synthetic/push/branch-deleted.json"]
	file := filepath.Join(t.TempDir(), "delivery.json")
	text := `{"id":1,"guid":"12345678-abcd","event":"push","request":{"headers":{},"payload":` + string(body) + `}}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := say(t, nil, "conveyor", "replay", file); code != 0 || !strings.Contains(out, "delivery  push 12345678-abcd\ndecision  ignored: ") {
		t.Errorf("%d\n%s", code, out)
	}
}

func TestAReplayOfWhatIsNoDeliverySaysSo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	ping := write("ping.json", `{"zen":"x"}`)
	for want, args := range map[string][]string{
		"there is no file nothing.json; give a file":                     {"nothing.json"},
		"holds no journal of a server; name its folder":                  {"--data-dir", dir, "12345678-1234"},
		"is not a webhook's payload: it is not a JSON":                   {write("text.json", "hello")},
		"it is not one JSON object":                                      {write("two.json", "{} {}")},
		"payload: it is not a JSON object (json: cannot":                 {write("list.json", "[1]")},
		"does not show which event it is of":                             {write("odd.json", `{"a":1}`)},
		`"Push!" is not an event's name`:                                 {"--event", "Push!", ping},
		`"x" is not a GUID`:                                              {"--guid", "x", ping},
		"must be one of":                                                 {"--role", "king", ping},
		"the pipeline file cannot be read":                               {"--plan", filepath.Join(dir, "none.yml"), ping},
		"the payload's repository cannot be made":                        {"--event", "push", write("evil.json", `{"repository":{"id":1,"full_name":"a/../b"}}`)},
		"decision  ignored: nothing follows from the event nobody_knows": {"--event", "nobody_knows", ping},
		"decision  ignored: GitHub only says that the hook":              {ping},
	} {
		code, out := say(t, nil, "conveyor", append([]string{"replay"}, args...)...)
		if good := strings.HasPrefix(want, "decision"); !strings.Contains(out, want) || good != (code == 0) {
			t.Errorf("%q: exit code %d:\n%s\nwant: %s", args, code, out, want)
		}
	}
}

func TestAReplayRunsNoStepAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ran, file := filepath.Join(dir, "ran"), filepath.Join(dir, "conveyor.yml")
	if err := os.WriteFile(file, []byte(plan("touch " + ran)[".github/conveyor.yml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	code, out := say(t, []string{"TMPDIR=" + scratch}, "conveyor", "replay", "--plan", file, kept(t, "webhook-examples-synthetic/pull_request/opened-same-repo.json"))
	if code != 0 || !strings.Contains(out, "then      the step unit of the stage test would begin: touch ") {
		t.Errorf("%d\n%s", code, out)
	}
	if _, err := os.Stat(ran); !os.IsNotExist(err) {
		t.Errorf("the step was run: %v", err)
	}
	if left := must(os.ReadDir(scratch))(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// answerOf is what a replay would answer to a command.
func answerOf(t *testing.T, out string) string {
	t.Helper()
	var got struct {
		Calls []struct {
			Method, Path string
			Body         struct{ Body string }
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	said := ""
	for _, c := range got.Calls {
		if c.Method == "POST" && strings.Contains(c.Body.Body, "conveyor/answer/") {
			said += strings.ReplaceAll(c.Body.Body, "\u200b", "")
		}
	}
	return said
}

func TestAReplayWithTheHistoryDecidesAsTheServerDidAndChangesNothingOfIt(t *testing.T) {
	t.Parallel()
	for name, redis := range map[string]bool{"a file": false, "Redis": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var env []string
			change := func(*house) {}
			if redis {
				_, change = inRedis(t)
			}
			h := open(t, func(h *house) {
				h.config.Sandbox = "none"
				change(h)
				if url := h.config.RedisURL.Reveal(); url != "" {
					env = append(env, "CONVEYOR_REDIS_URL="+url)
				}
			})
			first := h.push("main", "author", "first", withSites("one"))
			h.deployed("staging", first)
			pull := h.talk()
			h.comment(pull, "author", "/lock production the `fair`")
			h.answered(pull, "`production` is locked for #1")
			h.quiet()
			h.comment(pull, "maintainer", "/approve production@"+first[:10])
			h.answered(pull, "Approved: "+first[:7])
			h.comment(pull, "author", "/unlock production")
			h.deployed("production", first)
			h.comment(pull, "maintainer", "/approve production@"+first[:10])
			h.answered(pull, "Nothing waits for `production`")
			h.quiet()
			var approvals []string
			h.gh.Look(func(v *github.View) {
				for _, d := range v.Deliveries() {
					if d.Event == "issue_comment" && d.Action == "created" && strings.Contains(string(d.Payload), "/approve production") && !strings.Contains(string(d.Payload), "conveyor/answer") {
						approvals = append(approvals, d.GUID)
					}
				}
			})
			if len(approvals) != 2 {
				t.Fatalf("%d approvals were delivered", len(approvals))
			}
			replay := func(args ...string) string {
				code, out := say(t, env, "conveyor", append([]string{"replay", "--json", "--role", "maintain", "--data-dir", h.config.DataDir}, args...)...)
				if code != 0 {
					t.Fatalf("%d\n%s", code, out)
				}
				return answerOf(t, out)
			}
			all := func() map[string][]journal.Record {
				j := h.journal()
				records := h.records(j, "")
				if err := j.Close(); err != nil {
					t.Error(err)
				}
				return records
			}
			before := all()
			// With its history each of the two words is answered as it was, and without it nothing is known to wait.
			if said := replay("--history", approvals[0]); !strings.Contains(said, "Approved: ") || !strings.Contains(said, "may enter `production`") || !strings.Contains(said, "locked for #1 by @author") {
				t.Errorf("the first approval would be answered with %s", said)
			}
			if said := replay("--history", approvals[1]); !strings.Contains(said, "Nothing waits for `production`") {
				t.Errorf("the second approval would be answered with %s", said)
			}
			if said := replay(approvals[0]); strings.Contains(said, "Approved: ") {
				t.Errorf("without a history it would be answered with %s", said)
			}
			if after := all(); !reflect.DeepEqual(before, after) {
				t.Error("the server's journal has changed")
			}
			h.ends()
		})
	}
}
