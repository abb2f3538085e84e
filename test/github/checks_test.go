package github_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v60/github"
)

func TestACheckRunKeepsToGitHubsLimits(t *testing.T) {
	w, sha, _ := ready(t)
	token := w.token(w.installationID(), nil)
	annotation := map[string]any{"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"}
	with := func(change func(run, output map[string]any)) map[string]any {
		output := map[string]any{"title": "t", "summary": "s"}
		run := map[string]any{"name": "unit", "head_sha": sha, "output": output}
		change(run, output)
		return run
	}
	action := func(label, description, identifier string) map[string]any {
		return map[string]any{"label": label, "description": description, "identifier": identifier}
	}
	for name, c := range map[string]struct {
		run  map[string]any
		want string
	}{
		"completed without conclusion": {with(func(r, _ map[string]any) { r["status"] = "completed" }), `"conclusion" wasn't supplied`},
		"no name":                      {with(func(r, _ map[string]any) { delete(r, "name") }), `"name" wasn't supplied`},
		"an unknown commit":            {with(func(r, _ map[string]any) { r["head_sha"] = strings.Repeat("a", 40) }), "No commit found for SHA"},
		"a conclusion of GitHub's own": {with(func(r, _ map[string]any) { r["conclusion"] = "stale" }), "is not a possible value"},
		"a status of Actions' own":     {with(func(r, _ map[string]any) { r["status"] = "waiting" }), "is not a possible value"},
		"output without summary":       {with(func(_, o map[string]any) { delete(o, "summary") }), `"summary" wasn't supplied`},
		"a summary of too many bytes":  {with(func(_, o map[string]any) { o["summary"] = strings.Repeat("ü", 33000) }), "exceeds a maximum bytesize of 65535"},
		"a text that is too long":      {with(func(_, o map[string]any) { o["text"] = strings.Repeat("x", 65536) }), "exceeds a maximum bytesize of 65535"},
		"51 annotations":               {with(func(_, o map[string]any) { o["annotations"] = slices.Repeat([]any{annotation}, 51) }), "No more than 50 items"},
		"four buttons":                 {with(func(r, _ map[string]any) { r["actions"] = slices.Repeat([]any{action("a", "b", "c")}, 4) }), "No more than 3 items"},
		"a long label":                 {with(func(r, _ map[string]any) { r["actions"] = []any{action(strings.Repeat("x", 21), "b", "c")} }), "Only 20 characters are allowed; 21"},
		"a long description":           {with(func(r, _ map[string]any) { r["actions"] = []any{action("a", strings.Repeat("x", 41), "c")} }), "Only 40 characters are allowed; 41"},
		"a long identifier":            {with(func(r, _ map[string]any) { r["actions"] = []any{action("a", "b", strings.Repeat("x", 21))} }), "Only 20 characters are allowed; 21"},
		"columns over two lines": {with(func(_, o map[string]any) {
			o["annotations"] = []any{map[string]any{"path": "a", "start_line": 1, "end_line": 2, "start_column": 1, "annotation_level": "notice", "message": "m"}}
		}), "columns only when"},
		"a details_url of a script": {with(func(r, _ map[string]any) { r["details_url"] = "javascript:alert(1)" }), "Validation Failed"},
		"a name that is a number":   {with(func(r, _ map[string]any) { r["name"] = 7 }), "is not a string"},
	} {
		body, err := json.Marshal(c.run)
		w.ok(err)
		status, _, got := w.api(token, "POST", "/repos/acme/shop/check-runs", string(body))
		if message, _ := got["message"].(string); status != http.StatusUnprocessableEntity || !strings.Contains(fmt.Sprint(message, got["errors"]), c.want) {
			t.Errorf("%s: answered %d %q, want %q", name, status, message, c.want)
		}
	}
	body, err := json.Marshal(with(func(_, o map[string]any) { o["summary"] = strings.Repeat("x", 65535) }))
	w.ok(err)
	if status, _, got := w.api(token, "POST", "/repos/acme/shop/check-runs", string(body)); status != http.StatusCreated {
		t.Errorf("65,535 bytes answered %d %v", status, got["message"])
	}
}

func TestAnnotationsAddUp(t *testing.T) {
	w, sha, gh := ready(t)
	ctx := context.Background()
	batch := func(n int) *gogithub.CheckRunOutput {
		out := &gogithub.CheckRunOutput{Title: gogithub.String("t"), Summary: gogithub.String("s")}
		for i := range n {
			out.Annotations = append(out.Annotations, &gogithub.CheckRunAnnotation{Path: gogithub.String("a"), StartLine: gogithub.Int(i + 1), EndLine: gogithub.Int(i + 1),
				AnnotationLevel: gogithub.String("warning"), Message: gogithub.String("m")})
		}
		return out
	}
	run, _, err := gh.Checks.CreateCheckRun(ctx, "acme", "shop", gogithub.CreateCheckRunOptions{Name: "lint", HeadSHA: sha, Output: batch(50)})
	w.ok(err)
	run, _, err = gh.Checks.UpdateCheckRun(ctx, "acme", "shop", run.GetID(), gogithub.UpdateCheckRunOptions{Name: "lint", Output: batch(10)})
	w.ok(err)
	if got := run.GetOutput().GetAnnotationsCount(); got != 60 {
		t.Errorf("%d annotations", got)
	}
	list, res, err := gh.Checks.ListCheckRunAnnotations(ctx, "acme", "shop", run.GetID(), &gogithub.ListOptions{PerPage: 50})
	w.ok(err)
	if len(list) != 50 || res.NextPage != 2 {
		t.Errorf("the first page has %d, the next is %d", len(list), res.NextPage)
	}
}

func TestOnlyTheAppThatMadeARunMayChangeIt(t *testing.T) {
	w, sha, gh := ready(t)
	ctx := context.Background()
	m := manifest(w.inbox.URL)
	m.Name = "Other"
	other, err := w.RegisterApp("acme", m)
	w.ok(err)
	w.must(w.InstallApp(other.Slug, "acme"))
	run, _, err := gh.Checks.CreateCheckRun(ctx, "acme", "shop", gogithub.CreateCheckRunOptions{Name: "unit", HeadSHA: sha})
	w.ok(err)
	mine := w.app
	w.app = other
	theirs := w.installation(w.installationID(), nil)
	_, res, err := theirs.Checks.UpdateCheckRun(ctx, "acme", "shop", run.GetID(), gogithub.UpdateCheckRunOptions{Name: "unit", Conclusion: gogithub.String("success")})
	if err == nil || res.StatusCode != http.StatusForbidden || !strings.Contains(err.Error(), "Invalid app_id") {
		t.Errorf("another App's change: %v", err)
	}
	w.app = mine
	w.ok(w.RerequestCheck("acme/shop", run.GetID(), "ada"))
	w.quiet()
	asked, _ := w.inbox.last("check_run.rerequested")
	count := 0
	for _, name := range w.inbox.names() {
		if name == "check_run.rerequested" {
			count++
		}
	}
	if count != 1 || asked.header.Get("X-GitHub-Hook-Installation-Target-ID") != fmt.Sprint(mine.ID) {
		t.Errorf("%d Apps were asked to run again", count)
	}
}

func TestRunsOfACommitAreFilteredAndSuitesTellTheWorst(t *testing.T) {
	w, sha, gh := ready(t)
	ctx := context.Background()
	for _, run := range [][2]string{{"unit", "failure"}, {"unit", "success"}, {"lint", "neutral"}, {"feature/x", "skipped"}} {
		_, _, err := gh.Checks.CreateCheckRun(ctx, "acme", "shop", gogithub.CreateCheckRunOptions{Name: run[0], HeadSHA: sha, Conclusion: &run[1]})
		w.ok(err)
	}
	for name, c := range map[string]struct {
		opt  gogithub.ListCheckRunsOptions
		want int
	}{
		"the latest of each name": {gogithub.ListCheckRunsOptions{}, 3},
		"all":                     {gogithub.ListCheckRunsOptions{Filter: gogithub.String("all")}, 4},
		"by name":                 {gogithub.ListCheckRunsOptions{CheckName: gogithub.String("unit")}, 1},
		"by App":                  {gogithub.ListCheckRunsOptions{AppID: &w.app.ID}, 3},
		"by another App":          {gogithub.ListCheckRunsOptions{AppID: gogithub.Int64(1)}, 0},
		"by status":               {gogithub.ListCheckRunsOptions{Status: gogithub.String("queued")}, 0},
	} {
		got, _, err := gh.Checks.ListCheckRunsForRef(ctx, "acme", "shop", "heads/main", &c.opt)
		w.ok(err)
		if got.GetTotal() != c.want {
			t.Errorf("%s: %d runs, want %d", name, got.GetTotal(), c.want)
		}
	}
	suites, _, err := gh.Checks.ListCheckSuitesForRef(ctx, "acme", "shop", sha, nil)
	w.ok(err)
	suite := suites.CheckSuites[0]
	if suites.GetTotal() != 1 || suite.GetConclusion() != "neutral" || suite.GetHeadBranch() != "main" {
		t.Errorf("%d suites, the first is %s on %s", suites.GetTotal(), suite.GetConclusion(), suite.GetHeadBranch())
	}
	ofSuite, _, err := gh.Checks.ListCheckRunsCheckSuite(ctx, "acme", "shop", suite.GetID(), nil)
	w.ok(err)
	if ofSuite.GetTotal() != 3 {
		t.Errorf("the suite has %d runs", ofSuite.GetTotal())
	}
	_, err = gh.Checks.ReRequestCheckSuite(ctx, "acme", "shop", suite.GetID())
	w.ok(err)
	again, _, err := gh.Checks.GetCheckSuite(ctx, "acme", "shop", suite.GetID())
	w.ok(err)
	if again.GetStatus() != "queued" {
		t.Errorf("asked for again the suite is %s", again.GetStatus())
	}
	run, _, err := gh.Checks.GetCheckRun(ctx, "acme", "shop", ofSuite.CheckRuns[0].GetID())
	w.ok(err)
	if run.GetStatus() != "completed" {
		t.Errorf("asked for again the run is %s; GitHub does not reset it", run.GetStatus())
	}
}

func TestTheSameCommitOnASecondBranchRaisesNoSecondSuite(t *testing.T) {
	w, sha, _ := ready(t)
	w.ok(w.ForcePush("acme/shop", "copy", "ada", sha))
	w.quiet()
	names := w.inbox.names()
	count := 0
	for _, n := range names {
		if n == "check_suite.requested" {
			count++
		}
	}
	if count != 1 || !slices.Contains(names, "create") {
		t.Errorf("heard %v", names)
	}
}

func TestADeploymentHasGitHubsTraps(t *testing.T) {
	w, first, gh := ready(t)
	ctx := context.Background()
	topic := w.commit("topic", "ada", map[string]string{"a": "a"})
	w.commit("main", "ada", map[string]string{"b": "b"})
	none := []string{}
	no := gogithub.Bool(false)

	_, res, err := gh.Repositories.CreateDeployment(ctx, "acme", "shop", &gogithub.DeploymentRequest{Ref: gogithub.String("topic"), RequiredContexts: &none})
	if _, is := err.(*gogithub.AcceptedError); !is || res.StatusCode != http.StatusAccepted {
		t.Errorf("auto_merge left out: %v", err)
	}
	if _, res, _ := gh.Repositories.CreateDeployment(ctx, "acme", "shop", &gogithub.DeploymentRequest{Ref: &topic, RequiredContexts: &none}); res.StatusCode != http.StatusConflict {
		t.Errorf("auto_merge of a bare SHA answered %s", res.Status)
	}
	_, _, err = gh.Checks.CreateCheckRun(ctx, "acme", "shop", gogithub.CreateCheckRunOptions{Name: "unit", HeadSHA: first, Status: gogithub.String("in_progress")})
	w.ok(err)
	_, res, err = gh.Repositories.CreateDeployment(ctx, "acme", "shop", &gogithub.DeploymentRequest{Ref: &first, AutoMerge: no})
	if err == nil || res.StatusCode != http.StatusConflict || !strings.Contains(err.Error(), "Conflict: Commit status checks failed for "+first) {
		t.Errorf("required_contexts left out: %v", err)
	}
	if _, res, _ := gh.Repositories.CreateDeployment(ctx, "acme", "shop", &gogithub.DeploymentRequest{Ref: gogithub.String("nowhere"), AutoMerge: no, RequiredContexts: &none}); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("an unknown ref answered %s", res.Status)
	}
}

func TestASuccessMakesEarlierDeploymentsInactiveOnlyWhereGitHubDoes(t *testing.T) {
	w, sha, gh := ready(t)
	ctx := context.Background()
	none := []string{}
	deploy := func(environment string, transient bool) int64 {
		d, _, err := gh.Repositories.CreateDeployment(ctx, "acme", "shop", &gogithub.DeploymentRequest{Ref: &sha, Environment: &environment, AutoMerge: gogithub.Bool(false),
			RequiredContexts: &none, TransientEnvironment: &transient, Payload: `{"digest":"sha256:1"}`})
		w.ok(err)
		_, _, err = gh.Repositories.CreateDeploymentStatus(ctx, "acme", "shop", d.GetID(), &gogithub.DeploymentStatusRequest{State: gogithub.String("success")})
		w.ok(err)
		return d.GetID()
	}
	states := func(id int64) string {
		list, _, err := gh.Repositories.ListDeploymentStatuses(ctx, "acme", "shop", id, nil)
		w.ok(err)
		var out []string
		for _, s := range list {
			out = append(out, s.GetState())
		}
		return strings.Join(out, " ")
	}
	for environment, want := range map[string]string{"staging": "inactive success", "production": "success", "preview": "success"} {
		first := deploy(environment, environment == "preview")
		deploy(environment, environment == "preview")
		if got := states(first); got != want {
			t.Errorf("%s: the first came to %q, want %q", environment, got, want)
		}
	}
	list, _, err := gh.Repositories.ListDeployments(ctx, "acme", "shop", &gogithub.DeploymentsListOptions{Environment: "staging"})
	w.ok(err)
	if len(list) != 2 || list[0].GetID() < list[1].GetID() {
		t.Errorf("%d deployments to staging", len(list))
	}
	if res, _ := gh.Repositories.DeleteDeployment(ctx, "acme", "shop", list[0].GetID()); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("deleting an active one answered %s", res.Status)
	}
	if _, err := gh.Repositories.DeleteDeployment(ctx, "acme", "shop", list[1].GetID()); err != nil {
		t.Errorf("deleting an inactive one: %v", err)
	}
	environments, _, err := gh.Repositories.ListEnvironments(ctx, "acme", "shop", nil)
	w.ok(err)
	if environments.GetTotalCount() != 3 {
		t.Errorf("%d environments", environments.GetTotalCount())
	}
	if l := w.Ledger(); l.Deployments[0].Digest != "sha256:1" {
		t.Errorf("the digest in a payload of text is %q", l.Deployments[0].Digest)
	}
	w.quiet()
	for _, h := range w.inbox.got {
		if h.event == "deployment_status" && h.payload["deployment_status"].(map[string]any)["state"] == "inactive" {
			t.Error("GitHub tells nobody of inactive")
		}
	}
}
