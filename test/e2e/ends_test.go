package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/redis"
	"github.com/conveyor-ci/conveyor/pipeline/journal/sqlite"
	"github.com/conveyor-ci/conveyor/test/github"
)

// What must hold of every story, whatever went wrong in it. The journal says what was decided, the local GitHub what was
// shown, and the machine what was left behind.

// ends waits for rest, stops the server, and wants all of it.
func (h *house) ends() {
	h.t.Helper()
	h.quiet()
	h.stop()
	h.oneOfEach()
	h.holds()
}

// holds compares the journal of a stopped server with what GitHub shows.
func (h *house) holds() {
	h.t.Helper()
	j := h.journal()
	defer func() {
		if err := j.Close(); err != nil {
			h.t.Error(err)
		}
	}()
	h.eachDeliveryIsDecidedOnce(j)
	h.checksTellTheTruth(j)
	h.deploymentsTellTheTruth(j)
	h.ledgerTellsAll(j)
	h.nothingIsLeft(j)
}

// journal opens the journal of a stopped server.
func (h *house) journal() journal.Journal {
	h.t.Helper()
	ctx := context.Background()
	if url := h.config.RedisURL.Reveal(); url != "" {
		return must(redis.Open(ctx, redis.Options{URL: url}, time.Now))(h.t)
	}
	return must(sqlite.Open(ctx, filepath.Join(h.config.DataDir, "journal.db"), time.Now))(h.t)
}

// records reads all streams with a prefix, and wants versions without gaps.
func (h *house) records(j journal.Journal, prefix string) map[string][]journal.Record {
	h.t.Helper()
	all := map[string][]journal.Record{}
	for _, name := range must(j.Streams(context.Background(), prefix, 10_000))(h.t) {
		all[name] = must(j.Read(context.Background(), name, 0))(h.t)
		for i, r := range all[name] {
			if r.Version != int64(i)+1 {
				h.t.Errorf("%s: record %d has version %d", name, i+1, r.Version)
			}
		}
	}
	return all
}

// eachDeliveryIsDecidedOnce wants a delivery in the journal exactly when GitHub was told so, and one decision for each.
func (h *house) eachDeliveryIsDecidedOnce(j journal.Journal) {
	h.t.Helper()
	streams := h.records(j, "delivery/")
	for name, records := range streams {
		kinds := ""
		for _, r := range records {
			kinds += r.Kind + " "
		}
		if kinds != "received decided " {
			h.t.Errorf("%s holds %q", name, kinds)
		}
	}
	h.gh.Look(func(v *github.View) {
		for _, d := range v.Deliveries() {
			if d.StatusCode/100 != 2 {
				continue
			}
			found := slices.ContainsFunc(keys(streams), func(name string) bool { return strings.HasSuffix(name, "/"+d.GUID) })
			if !found {
				h.t.Errorf("%s %s was answered with %d, and is not in the journal", d.Event, d.GUID, d.StatusCode)
			}
		}
	})
}

// decision is what became of a delivery.
func (h *house) decision(guid string) (what, why string) {
	h.t.Helper()
	j := h.journal()
	defer func() { _ = j.Close() }() // it was only read
	for name, records := range h.records(j, "delivery/") {
		if !strings.HasSuffix(name, "/"+guid) {
			continue
		}
		var d struct{ What, Why string }
		if err := json.Unmarshal(records[len(records)-1].Data, &d); err != nil {
			h.t.Fatal(err)
		}
		return d.What, d.Why
	}
	return "", "there is no such delivery"
}

// checksTellTheTruth wants every run to be over, and each of its checks to show exactly what the journal proves.
func (h *house) checksTellTheTruth(j journal.Journal) {
	h.t.Helper()
	for name, records := range h.records(j, "run/") {
		s, again := foldRun(h.t, records), foldRun(h.t, records)
		if !reflect.DeepEqual(s, again) {
			h.t.Errorf("%s folds to two states", name)
		}
		if owed := pipeline.Next(s); len(owed) > 0 {
			h.t.Errorf("%s rests, and owes %v", name, owed)
		}
		for _, c := range pipeline.Checks(s) {
			h.gh.Look(func(v *github.View) {
				for _, run := range v.CheckRuns(repo, string(s.Trigger.Commit)) {
					if run.ExternalID != c.External {
						continue
					}
					if run.Status != "completed" || run.Conclusion != string(c.Conclusion) || len(run.Annotations) != len(c.Annotations) {
						h.t.Errorf("GitHub shows %q of %s as %s %s with %d annotations, it is %s with %d", c.Name, name,
							run.Status, run.Conclusion, len(run.Annotations), c.Conclusion, len(c.Annotations))
					}
					return
				}
				h.t.Errorf("GitHub does not show %q of %s", c.Name, name)
			})
		}
	}
}

func foldRun(t *testing.T, records []journal.Record) (s pipeline.State) {
	t.Helper()
	for _, r := range records {
		e := must(pipeline.Decode(r.Kind, r.Data))(t)
		if e != nil {
			s = pipeline.Apply(s, e)
		}
	}
	return s
}

// deploymentsTellTheTruth wants one end for each deployment, an approval of exactly these bytes behind each one that
// needs it, and GitHub to show each as it ended.
func (h *house) deploymentsTellTheTruth(j journal.Journal) {
	h.t.Helper()
	shown := map[string]github.Deployment{}
	h.gh.Look(func(v *github.View) {
		for _, d := range v.Deployments(repo, "") {
			if p, ok := d.Payload.(map[string]any); ok {
				name, _ := p["deployment"].(string)
				shown[name] = d
			}
		}
	})
	for stream, records := range h.records(j, "repo/") {
		var s deploy.State
		flying := map[string]deploy.DeployStarted{}
		for _, r := range records {
			e := must(deploy.Decode(r.Kind, r.Data))(h.t)
			if e == nil {
				continue
			}
			before := s
			s = deploy.Apply(s, e)
			switch e := e.(type) {
			case deploy.DeployStarted:
				if p := s.Places[e.Environment]; p.Flight == nil || p.Flight.ID != e.Deployment || before.Places[e.Environment].Flight != nil {
					continue // it came too late and counts for nothing
				}
				if _, twice := flying[e.Deployment]; twice {
					h.t.Errorf("%s: %s was started twice", stream, e.Deployment)
				}
				flying[e.Deployment] = e
				h.approved(s.Places[e.Environment].Spec, e)
			case deploy.DeployFinished:
				begun, ok := flying[e.Deployment]
				if !ok {
					h.t.Errorf("%s: %s ended without a beginning, or twice", stream, e.Deployment)
				}
				delete(flying, e.Deployment)
				h.showsEnd(shown[e.Deployment], begun, e)
				delete(shown, e.Deployment)
			}
		}
		for id := range flying {
			h.t.Errorf("%s: %s never ended", stream, id)
		}
		for _, owed := range deploy.Next(s) {
			if _, alarm := owed.(deploy.Alarm); !alarm {
				h.t.Errorf("%s rests, and owes %s", stream, owed.Name())
			}
		}
	}
	for name := range shown {
		h.t.Errorf("GitHub shows the deployment %q, of which the journal knows nothing", name)
	}
}

// approved wants the word of enough people for exactly this commit and digest.
func (h *house) approved(spec pipeline.Environment, e deploy.DeployStarted) {
	h.t.Helper()
	if spec.Approve == nil {
		return
	}
	people := map[int64]bool{}
	for _, a := range e.Approvals {
		if a.Commit == e.Commit && a.Digest == e.Digest && a.Promotion == e.Deployment && (a.Body != "" || a.Button != "") && !a.At.After(e.At) {
			people[a.Actor.ID] = true
		}
	}
	if len(people) == 0 {
		h.t.Errorf("%s was started on nobody's word", e.Deployment)
	}
}

// showsEnd wants GitHub's statuses to begin with the start, never to repeat, and to tell the end.
func (h *house) showsEnd(d github.Deployment, begun deploy.DeployStarted, e deploy.DeployFinished) {
	h.t.Helper()
	var states []string
	for _, s := range d.Statuses {
		states = append(states, s.State)
	}
	want := [][]string{{"in_progress", "failure"}, {"failure"}}
	if e.OK {
		want = [][]string{{"in_progress", "success"}, {"in_progress", "success", "inactive"}, {"success"}, {"success", "inactive"}, {"inactive"}, {"in_progress", "inactive"}}
	}
	if !slices.ContainsFunc(want, func(w []string) bool { return slices.Equal(w, states) }) {
		h.t.Errorf("GitHub shows %s as %v, ok is %v", e.Deployment, states, e.OK)
	}
	if d.Digest != string(begun.Digest) || d.SHA != string(begun.Commit) {
		h.t.Errorf("GitHub shows %s of %s as %s of %s", d.Digest, d.SHA, begun.Digest, begun.Commit)
	}
}

// nothingIsLeft wants no workspace, note, mount, group or process of a run after the server has stopped.
func (h *house) nothingIsLeft(j journal.Journal) {
	h.t.Helper()
	for _, folder := range []string{"source/work", "sandbox/runs"} {
		entries, err := os.ReadDir(filepath.Join(h.config.DataDir, folder))
		if err != nil && !os.IsNotExist(err) {
			h.t.Error(err)
		}
		for _, e := range entries {
			h.t.Errorf("%s/%s is left", folder, e.Name())
		}
	}
	mounts := must(os.ReadFile("/proc/self/mountinfo"))(h.t)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, " "+h.config.DataDir+"/") {
			h.t.Errorf("a mount is left: %s", line)
		}
	}
	groups := must(filepath.Glob("/sys/fs/cgroup/*/conveyor/*"))(h.t)
	groups = append(groups, must(filepath.Glob("/sys/fs/cgroup/conveyor/*"))(h.t)...)
	environments := must(filepath.Glob("/proc/[0-9]*/environ"))(h.t)
	for run := range h.records(j, "run/") {
		guid := run[strings.LastIndex(run, "/")+1:]
		for _, g := range groups {
			if strings.Contains(g, guid) {
				h.t.Errorf("a cgroup is left: %s", g)
			}
		}
		for _, e := range environments {
			if env, err := os.ReadFile(e); err == nil && bytes.Contains(env, []byte("CONVEYOR_RUN="+run)) {
				h.t.Errorf("a process of %s is left: %s", run, e)
			}
		}
	}
}

func keys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	return names
}
