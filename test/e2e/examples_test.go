package e2e

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// examples are payloads by "collection/event/file": the kept ones, and whatever lies beside the checkout.
func examples(t *testing.T) map[string][]byte {
	t.Helper()
	z := must(zip.OpenReader("../../handlers/webhook/testdata/webhook-examples.zip"))(t)
	defer func() { _ = z.Close() }() // it was only read
	all := map[string][]byte{}
	collect := func(from fs.FS, below string) error {
		return fs.WalkDir(from, below, func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || path.Ext(name) != ".json" {
				return err
			}
			all[name], err = fs.ReadFile(from, name)
			return err
		})
	}
	if err := collect(z, "."); err != nil {
		t.Fatal(err)
	}
	if len(all) < 200 {
		t.Fatalf("only %d examples are kept", len(all))
	}
	beside := os.DirFS("../../../shared/github")
	more := must(fs.Glob(beside, "webhook-examples*"))(t)
	if len(more) == 0 {
		t.Log("NOT READ: no payloads lie beside this checkout, in ../shared/github; the kept ones are posted all the same")
	}
	for _, folder := range more {
		if err := collect(beside, folder); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestEveryExampleIsTakenAtTheDoorAndDecidedOnce posts each payload, rightly signed, to the assembled product. They speak of
// repositories and installations that its GitHub has never heard of.
func TestEveryExampleIsTakenAtTheDoorAndDecidedOnce(t *testing.T) {
	t.Parallel()
	h := open(t, func(h *house) { h.config.Sandbox = "none" })
	h.takesEach(examples(t))
}

// The same, but as if each had happened in this very repository: its commits, pull requests and comments are not there.
func TestEveryExampleOfARepositoryOfOursIsDecidedOnce(t *testing.T) {
	t.Parallel()
	h := open(t, func(h *house) { h.config.Sandbox = "none" })
	h.push("main", "author", "first", map[string]string{"README.md": "no plan\n"})
	h.quiet()
	var ours map[string]json.RawMessage
	for _, d := range h.gh.Deliveries() {
		if d.Event == "check_suite" || d.Event == "push" {
			if err := json.Unmarshal(d.Payload, &ours); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := map[string][]byte{}
	for name, body := range examples(t) {
		var payload map[string]json.RawMessage
		if err := json.Unmarshal(body, &payload); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, field := range []string{"installation", "repository", "organization"} {
			if _, has := payload[field]; has || field == "installation" {
				payload[field] = ours[field]
			}
		}
		all[name] = must(json.Marshal(payload))(t)
	}
	kinds := h.takesEach(all)
	if kinds["command"] == 0 || kinds["noted"] == 0 {
		t.Errorf("too little of it was heard: %v", kinds)
	}
}

// takesEach posts payloads, and wants each to be decided, with a reason, and the server to rest.
func (h *house) takesEach(payloads map[string][]byte) (kinds map[string]int) {
	h.t.Helper()
	var all sync.WaitGroup
	posted := map[string]string{} // by GUID
	window := make(chan struct{}, 8)
	for name, body := range payloads {
		guid := fmt.Sprintf("example-%04d", len(posted))
		posted[guid] = name
		window <- struct{}{}
		all.Go(func() {
			defer func() { <-window }()
			if code := h.byHand(github.Delivery{GUID: guid, Event: path.Base(path.Dir(name)), Payload: body}); code != http.StatusAccepted {
				h.t.Errorf("%s was answered with %d", name, code)
			}
		})
	}
	all.Wait()
	h.ends()
	if log := h.log.String(); strings.Contains(log, "panic") || strings.Contains(log, "level=ERROR") {
		h.t.Error("the log tells of a panic or an error")
	}
	return h.decidedEach(posted)
}

// decidedEach wants one decision, with its reason, for each delivery that was posted by hand, and counts their kinds. None is
// a run: there is nothing to run.
func (h *house) decidedEach(posted map[string]string) (kinds map[string]int) {
	h.t.Helper()
	j := h.journal()
	defer func() { _ = j.Close() }() // it was only read
	kinds = map[string]int{}
	for stream, records := range h.records(j, "delivery/") {
		guid := path.Base(stream)
		name, ours := posted[guid]
		if !ours {
			continue
		}
		delete(posted, guid)
		var d struct{ What, Why string }
		if last := records[len(records)-1]; last.Kind != "decided" {
			h.t.Errorf("%s: nothing is decided", name)
			continue
		} else if err := json.Unmarshal(last.Data, &d); err != nil {
			h.t.Fatal(err)
		}
		if d.Why == "" {
			h.t.Errorf("%s: %s, without a reason", name, d.What)
		}
		kinds[d.What]++
	}
	for _, name := range posted {
		h.t.Errorf("%s was taken, and is not in the journal", name)
	}
	if kinds["run"] != 0 {
		h.t.Errorf("%d runs, and there is nothing to run", kinds["run"])
	}
	return kinds
}
