package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/deploy/ledger"
	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// ledgerTellsAll proves the ledger of a stopped server, and wants exactly what the journal says in it: nothing twice, and
// nothing left out.
func (h *house) ledgerTellsAll(j journal.Journal) {
	h.t.Helper()
	public := must(ledger.PublicKey(must(os.ReadFile(filepath.Join(h.config.DataDir, ledger.PublicFile)))(h.t)))(h.t)
	data := must(os.ReadFile(filepath.Join(h.config.DataDir, ledger.File)))(h.t)
	told := map[string][]string{}
	_, err := ledger.Verify(bytes.NewReader(data), public, "", func(l ledger.Line) {
		told[l.Stream] = append(told[l.Stream], l.What+" "+l.Deployment)
	})
	if err != nil {
		h.t.Errorf("the ledger: %v", err)
	}
	for stream, records := range h.records(j, "repo/") {
		var s deploy.State
		var want []string
		for _, r := range records {
			e := must(deploy.Decode(r.Kind, r.Data))(h.t)
			if e == nil {
				continue
			}
			before := s
			s = deploy.Apply(s, e)
			for _, entry := range deploy.Audit(before, s, e) {
				want = append(want, entry.What+" "+entry.Deployment)
			}
		}
		if got, want := strings.Join(told[stream], "\n"), strings.Join(want, "\n"); got != want {
			h.t.Errorf("the ledger tells of %s\n%s\nand the journal\n%s", stream, got, want)
		}
	}
}

func TestTheLedgerIsProvenWithoutTheServer(t *testing.T) {
	t.Parallel()
	signing := filepath.Join(t.TempDir(), "signing.pem")
	h := open(t, func(h *house) { h.config.LedgerKeyFile = signing })
	if _, err := os.Stat(filepath.Join(h.config.DataDir, ledger.KeyFile)); err == nil || len(must(os.ReadFile(signing))(t)) == 0 {
		t.Error("the key does not lie where it was to lie alone")
	}
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	pull := h.talk()
	h.comment(pull, "reader", "/approve production@"+first[:10])
	h.answered(pull, "reader has the role read")
	h.comment(pull, "maintainer", "/approve production@"+first[:10])
	h.deployed("production", first)
	h.ends()

	file := filepath.Join(h.config.DataDir, "audit.jsonl")
	elsewhere := filepath.Join(t.TempDir(), "key.pub")
	if err := os.WriteFile(elsewhere, must(os.ReadFile(filepath.Join(h.config.DataDir, "audit.pub")))(t), 0o600); err != nil {
		t.Fatal(err)
	}
	code, said := say(t, nil, "conveyor", "audit", "verify", "--key", elsewhere, file)
	if code != 0 || !strings.Contains(said, "6 lines, all as they were written; head ") {
		t.Fatalf("%d: %s", code, said)
	}
	head := strings.TrimSpace(said[strings.LastIndex(said, " "):])
	code, said = say(t, nil, "conveyor", "audit", "show", file)
	for _, words := range []string{"The key lies beside the ledger", "refusal", "to @reader", "approval  production#1", "by @maintainer", "start", "finish", "ok"} {
		if code != 0 || !strings.Contains(said, words) {
			t.Errorf("%d, and %q is not in\n%s", code, words, said)
		}
	}
	lines := strings.SplitAfter(string(must(os.ReadFile(file))(t)), "\n")
	for name, c := range map[string]struct {
		text string
		says string
	}{
		"a line is missing": {lines[0] + strings.Join(lines[2:], ""), ":2: it was number 3"},
		"the end is cut":    {strings.Join(lines[:5], ""), ":6: the ledger ends here"},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, said := say(t, nil, "conveyor", "audit", "verify", "--key", elsewhere, "--head", head, file); code != 1 || !strings.Contains(said, c.says) {
			t.Errorf("%s: %d %s", name, code, said)
		}
	}
}
