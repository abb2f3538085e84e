package github

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

const runFields = "name:string head_sha:string details_url:string external_id:string status:string started_at:time conclusion:string completed_at:time output:object actions:array"

var (
	runStatuses    = []string{"queued", "in_progress", "completed"}
	runConclusions = []string{"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}
	levelNames     = []string{"notice", "warning", "failure"}
)

func (c *call) createRun() answer {
	if a := c.types(strings.NewReplacer("name:string", "name:string!", "head_sha:string", "head_sha:string!").Replace(runFields)); a != nil {
		return *a
	}
	k := c.repo.git.commit(c.text("head_sha"))
	if k == nil || len(c.text("head_sha")) != 40 {
		return fail(http.StatusUnprocessableEntity, "No commit found for SHA: %s", c.text("head_sha"))
	}
	if c.text("name") == "" {
		return badRequest("\"name\" wasn't supplied.")
	}
	run := &CheckRun{ID: c.s.next(), Repo: c.repo.FullName, AppSlug: c.who.app.Slug, Name: c.text("name"), HeadSHA: k.sha, Status: "queued",
		app: c.who.app, CreatedAt: c.s.now()}
	run.suite, _ = c.s.suiteFor(c.repo, run.app, k.sha)
	if a := c.applyRun(run); a != nil {
		return *a
	}
	run.suite.runs, c.repo.runs = append(run.suite.runs, run), append(c.repo.runs, run)
	c.touch(run.suite)
	c.s.raiseRun(c.repo, run, "created")
	if run.Status == "completed" {
		c.s.raiseRun(c.repo, run, "completed")
	}
	return created(c.s.renderRun(c.repo, run))
}

func (c *call) touch(t *suite) { t.updated, t.rerequested = c.s.now(), false }

func (c *call) updateRun() answer {
	run := c.repo.run(c.id("check_run_id"))
	if run == nil {
		return notFound()
	}
	if run.app != c.who.app {
		return fail(http.StatusForbidden, "Invalid app_id `%d` - check run can only be modified by the GitHub App that created it.", c.who.app.ID)
	}
	if a := c.types(runFields); a != nil {
		return *a
	}
	was := run.Status
	changed := *run
	if a := c.applyRun(&changed); a != nil {
		return *a
	}
	*run = changed
	if c.has("name") && c.text("name") != "" {
		run.Name = c.text("name")
	}
	c.touch(run.suite)
	if run.Status == "completed" && was != "completed" {
		c.s.raiseRun(c.repo, run, "completed")
	}
	return ok(c.s.renderRun(c.repo, run))
}

// applyRun takes over what the body says, or complains and changes nothing
// that stays.
func (c *call) applyRun(run *CheckRun) *answer {
	stop := func(a answer) *answer { return &a }
	status, conclusion := c.text("status"), c.text("conclusion")
	if c.has("status") && !slices.Contains(runStatuses, status) {
		return stop(badRequest("For 'properties/status', %q is not a possible value. Must be one of the following: %s.", status, strings.Join(runStatuses, ", ")))
	}
	if c.has("conclusion") && !slices.Contains(runConclusions, conclusion) {
		return stop(badRequest("For 'properties/conclusion', %q is not a possible value. Must be one of the following: %s.", conclusion, strings.Join(runConclusions, ", ")))
	}
	if conclusion != "" {
		status = "completed" // giving one completes the run
	}
	if status == "completed" && conclusion == "" && (run.Status != "completed" || run.Conclusion == "") {
		return stop(badRequest("\"conclusion\" wasn't supplied."))
	}
	if c.has("details_url") && !absolute(c.text("details_url")) {
		return stop(invalid(fieldError{"CheckRun", "details_url", "custom", "details_url must use http or https scheme"}))
	}
	if a := c.applyOutput(run); a != nil {
		return a
	}
	if a := c.applyActions(run); a != nil {
		return a
	}
	switch status {
	case "completed":
		run.Status, run.CompletedAt = status, c.s.now()
		if conclusion != "" {
			run.Conclusion = conclusion
		}
		if run.StartedAt.IsZero() {
			run.StartedAt = c.s.now()
		}
	case "queued", "in_progress":
		run.Status, run.Conclusion = status, ""
		run.CompletedAt = c.moment("completed_at")
		if status == "in_progress" && run.StartedAt.IsZero() {
			run.StartedAt = c.s.now()
		}
	}
	if c.has("started_at") {
		run.StartedAt = c.moment("started_at")
	}
	if c.has("completed_at") {
		run.CompletedAt = c.moment("completed_at")
	}
	if c.has("details_url") {
		run.DetailsURL = c.text("details_url")
	}
	if c.has("external_id") {
		run.ExternalID = c.text("external_id")
	}
	return nil
}

// outputLimit is in bytes: the characters that the page of documentation
// speaks of are counted so.
const outputLimit = 65535

func (c *call) applyOutput(run *CheckRun) *answer {
	stop := func(a answer) *answer { return &a }
	out, given := c.body["output"].(map[string]any)
	if !given {
		return nil
	}
	text := func(name string) (string, bool) { v, isText := out[name].(string); return v, isText }
	title, hasTitle := text("title")
	summary, hasSummary := text("summary")
	if !hasSummary {
		return stop(badRequest("\"summary\" wasn't supplied."))
	}
	if !hasTitle && !run.output {
		return stop(badRequest("\"title\" wasn't supplied."))
	}
	body, hasText := text("text")
	for name, v := range map[string]string{"summary": summary, "text": body} {
		if len(v) > outputLimit {
			return stop(invalid(fieldError{"CheckRun", name, "custom", fmt.Sprintf("%s exceeds a maximum bytesize of %d", name, outputLimit)}))
		}
	}
	list, _ := out["annotations"].([]any)
	if len(list) > 50 {
		return stop(badRequest("No more than 50 items are allowed; %d were supplied.", len(list)))
	}
	annotations := slices.Clone(run.Annotations)
	for _, v := range list {
		m, _ := v.(map[string]any)
		a, complaint := readAnnotation(m)
		if complaint != "" {
			return stop(badRequest("%s", complaint))
		}
		annotations = append(annotations, a) // they add up, request by request
	}
	images, _ := out["images"].([]any)
	for _, v := range images {
		m, _ := v.(map[string]any)
		for _, name := range []string{"alt", "image_url"} {
			if _, isText := m[name].(string); !isText {
				return stop(badRequest("%q wasn't supplied.", name))
			}
		}
	}
	run.Summary, run.output, run.Annotations = summary, true, annotations
	if hasTitle {
		run.Title = title
	}
	if hasText {
		run.Text, run.textGiven = body, true
	}
	return nil
}

func readAnnotation(m map[string]any) (a Annotation, complaint string) {
	for _, name := range []string{"path", "start_line", "end_line", "annotation_level", "message"} {
		if m[name] == nil {
			return a, fmt.Sprintf("%q wasn't supplied.", name)
		}
	}
	text := func(name string) string { v, _ := m[name].(string); return v }
	num := func(name string) int { n, _ := number(m[name]); return int(n) }
	a = Annotation{Path: text("path"), StartLine: num("start_line"), EndLine: num("end_line"), StartColumn: num("start_column"), EndColumn: num("end_column"),
		Level: text("annotation_level"), Message: text("message"), Title: text("title"), RawDetail: text("raw_details")}
	switch {
	case !slices.Contains(levelNames, a.Level):
		return a, fmt.Sprintf("For 'properties/annotation_level', %q is not a possible value. Must be one of the following: notice, warning, failure.", a.Level)
	case a.Path == "" || a.StartLine < 1 || a.EndLine < a.StartLine:
		return a, "Annotations need a path, and lines from 1 on."
	case (a.StartColumn > 0 || a.EndColumn > 0) && a.StartLine != a.EndLine:
		return a, "Annotations have columns only when start_line and end_line are the same."
	case len(a.Message) > 64<<10 || len(a.RawDetail) > 64<<10:
		return a, "The message or raw_details of an annotation exceeds 64 KB."
	case utf8.RuneCountInString(a.Title) > 255:
		return a, "The title of an annotation exceeds 255 characters."
	}
	return a, ""
}

func (c *call) applyActions(run *CheckRun) *answer {
	stop := func(a answer) *answer { return &a }
	list, given := c.body["actions"].([]any)
	if !given {
		return nil
	}
	if len(list) > 3 {
		return stop(badRequest("No more than 3 items are allowed; %d were supplied.", len(list)))
	}
	actions := []Action{}
	for _, v := range list {
		m, _ := v.(map[string]any)
		var values [3]string
		for i, field := range []struct {
			name  string
			limit int
		}{{"label", 20}, {"description", 40}, {"identifier", 20}} {
			text, isText := m[field.name].(string)
			if !isText || text == "" {
				return stop(badRequest("%q wasn't supplied.", field.name))
			}
			if n := utf8.RuneCountInString(text); n > field.limit {
				return stop(badRequest("Only %d characters are allowed; %d were supplied.", field.limit, n))
			}
			values[i] = text
		}
		actions = append(actions, Action{values[0], values[1], values[2]})
	}
	run.Actions = actions
	return nil
}

func (c *call) getRun() answer {
	if run := c.repo.run(c.id("check_run_id")); run != nil {
		return ok(c.s.renderRun(c.repo, run))
	}
	return notFound()
}

func (c *call) runAnnotations() answer {
	run := c.repo.run(c.id("check_run_id"))
	if run == nil {
		return notFound()
	}
	column := func(n int) any {
		if n == 0 {
			return nil
		}
		return n
	}
	return ok(list(c, run.Annotations, func(a Annotation) obj {
		return obj{"path": a.Path, "blob_href": c.s.html("/%s/blob/%s/%s", c.repo.FullName, run.HeadSHA, escapeRef(a.Path)), "start_line": a.StartLine,
			"end_line": a.EndLine, "start_column": column(a.StartColumn), "end_column": column(a.EndColumn), "annotation_level": a.Level,
			"title": orNull(a.Title), "message": a.Message, "raw_details": orNull(a.RawDetail)}
	}))
}

func (c *call) rerequestRun() answer {
	run := c.repo.run(c.id("check_run_id"))
	if run == nil {
		return notFound()
	}
	if c.who.kind == "installation" && run.app != c.who.app {
		return fail(http.StatusForbidden, "This check run is not created by the authenticated app.")
	}
	c.s.rerequest(c.repo, run, c.who.actor())
	return created(obj{})
}

// filterRuns serves both lists of runs; newest first, like GitHub.
func (c *call) filterRuns(runs []*CheckRun) answer {
	if c.query.Get("filter") != "all" {
		runs = latestRuns(runs)
	}
	var out []*CheckRun
	for _, run := range newestFirst(runs) {
		if q := c.query.Get("check_name"); q != "" && q != run.Name {
			continue
		}
		if q := c.query.Get("status"); q != "" && q != run.Status {
			continue
		}
		if q := c.query.Get("app_id"); q != "" && q != fmt.Sprint(run.app.ID) {
			continue
		}
		out = append(out, run)
	}
	return ok(obj{"total_count": len(out), "check_runs": list(c, out, func(run *CheckRun) obj { return c.s.renderRun(c.repo, run) })})
}

func (c *call) runsOfRef() answer {
	k := c.resolve(c.param["ref"])
	if k == nil {
		return noCommit(c.param["ref"])
	}
	var runs []*CheckRun
	for _, run := range c.repo.runs {
		if run.HeadSHA == k.sha {
			runs = append(runs, run)
		}
	}
	return c.filterRuns(runs)
}

func (c *call) suiteByID() *suite {
	for _, t := range c.repo.suites {
		if t.id == c.id("check_suite_id") {
			return t
		}
	}
	return nil
}

func (c *call) runsOfSuite() answer {
	if t := c.suiteByID(); t != nil {
		return c.filterRuns(t.runs)
	}
	return notFound()
}

func (c *call) getSuite() answer {
	if t := c.suiteByID(); t != nil {
		return ok(c.s.renderSuite(c.repo, t, false))
	}
	return notFound()
}

func (c *call) createSuite() answer {
	if a := c.types("head_sha:string!"); a != nil {
		return *a
	}
	k := c.repo.git.commit(c.text("head_sha"))
	if k == nil {
		return fail(http.StatusUnprocessableEntity, "No commit found for SHA: %s", c.text("head_sha"))
	}
	t, isNew := c.s.suiteFor(c.repo, c.who.app, k.sha)
	if isNew {
		return created(c.s.renderSuite(c.repo, t, false))
	}
	return ok(c.s.renderSuite(c.repo, t, false))
}

func (c *call) rerequestSuite() answer {
	t := c.suiteByID()
	if t == nil {
		return notFound()
	}
	c.s.rerequestSuite(c.repo, t, c.who.actor())
	return created(obj{})
}

func (c *call) suitesOfRef() answer {
	k := c.resolve(c.param["ref"])
	if k == nil {
		return noCommit(c.param["ref"])
	}
	var out []*suite
	for _, t := range c.repo.suites {
		if t.sha == k.sha && (c.query.Get("app_id") == "" || c.query.Get("app_id") == fmt.Sprint(t.app.ID)) {
			out = append(out, t)
		}
	}
	return ok(obj{"total_count": len(out), "check_suites": list(c, out, func(t *suite) obj { return c.s.renderSuite(c.repo, t, false) })})
}
