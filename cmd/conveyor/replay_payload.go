package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// object is a piece of a payload.
type object = map[string]any

var (
	eventName = regexp.MustCompile(`^[a-z]{2,}(_[a-z]+)*$`)
	guidName  = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{7,127}$`)
)

// fromFile reads a payload, or a whole delivery as GitHub's API shows it: with its request, and the payload in that.
func fromFile(name string, data []byte, event, guid string) (app.Webhook, error) {
	p, err := decode(data)
	if err != nil {
		return app.Webhook{}, fmt.Errorf("%s is not a webhook's payload: %w", name, err)
	}
	if inner := at(p, "request", "payload"); inner != nil {
		if event == "" {
			event = text(p, "event")
		}
		if own := text(p, "guid"); own != "" {
			guid = own
		}
		if data, err = json.Marshal(inner); err != nil {
			return app.Webhook{}, err
		}
		p = inner
	}
	if event == "" {
		event = guess(name, p)
	}
	switch {
	case event == "":
		return app.Webhook{}, fmt.Errorf("%s does not show which event it is of; name it, for example with --event push", name)
	case !eventName.MatchString(event):
		return app.Webhook{}, fmt.Errorf("%q is not an event's name; GitHub's are like push or pull_request", event)
	case !guidName.MatchString(guid):
		return app.Webhook{}, fmt.Errorf("%q is not a GUID; it has at least eight letters, digits and dashes", guid)
	}
	return app.Webhook{GUID: guid, Event: event, Body: data}, nil
}

// decode reads one JSON object, with its numbers as they are written.
func decode(data []byte) (p object, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("it is not a JSON object (%w)", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) || p == nil {
		return nil, errors.New("it is not one JSON object")
	}
	return p, nil
}

// forms are the fields that only payloads of one event have, the more telling ones first.
var forms = []struct {
	event  string
	fields []string
}{
	{"check_run", []string{"check_run"}},
	{"check_suite", []string{"check_suite"}},
	{"deployment_status", []string{"deployment_status"}},
	{"deployment", []string{"deployment"}},
	{"pull_request_review_comment", []string{"pull_request", "comment"}},
	{"pull_request_review", []string{"pull_request", "review"}},
	{"pull_request", []string{"pull_request", "action"}},
	{"issue_comment", []string{"issue", "comment"}},
	{"issues", []string{"issue", "action"}},
	{"push", []string{"ref", "before", "after"}},
	{"ping", []string{"zen"}},
}

// events are those that a file or its folder may be named after.
var events = strings.Fields(`branch_protection_rule check_run check_suite commit_comment create delete deployment deployment_protection_rule
	deployment_review deployment_status discussion discussion_comment fork github_app_authorization gollum installation
	installation_repositories installation_target issue_comment issues label member membership merge_group meta milestone organization
	ping public pull_request pull_request_review pull_request_review_comment pull_request_review_thread push release repository
	repository_dispatch star status team team_add watch workflow_dispatch workflow_job workflow_run`)

// guess tells the event of a payload in a file: by the beginning of the file's name, by its folder, as in collections of
// examples, or by the payload's form.
func guess(name string, p object) string {
	begin, _, _ := strings.Cut(filepath.Base(name), ".")
	for _, said := range []string{begin, filepath.Base(filepath.Dir(name))} {
		if slices.Contains(events, said) {
			return said
		}
	}
	for _, f := range forms {
		all := true
		for _, field := range f.fields {
			all = all && p[field] != nil
		}
		if all {
			return f.event
		}
	}
	return ""
}

// at is the object below some fields, nil when there is none.
func at(p object, fields ...string) object {
	for _, f := range fields {
		p, _ = p[f].(object)
	}
	return p
}

// text is the word below some fields.
func text(p object, fields ...string) string {
	s, _ := at(p, fields[:len(fields)-1]...)[fields[len(fields)-1]].(string)
	return s
}

// number is the whole number below some fields.
func number(p object, fields ...string) int64 {
	v, _ := at(p, fields[:len(fields)-1]...)[fields[len(fields)-1]].(json.Number)
	n, _ := v.Int64()
	return n
}

// each visits every object of a payload, and may change it.
func each(v any, visit func(object)) {
	switch v := v.(type) {
	case object:
		visit(v)
		for _, below := range v {
			each(below, visit)
		}
	case []any:
		for _, below := range v {
			each(below, visit)
		}
	}
}

// firstSteps are the steps that the runs that began begin with, in words.
func firstSteps(files map[string]string, runs, guid string) (steps []string) {
	all, err := app.Repository{
		Folder: func() (names []string, err error) {
			for file := range files {
				if name, ok := strings.CutPrefix(file, pipeline.PlanFolder+"/"); ok && !strings.Contains(name, "/") {
					names = append(names, name)
				}
			}
			return names, nil
		},
		File: func(path string, _ int64) ([]byte, error) {
			if text, ok := files[path]; ok {
				return []byte(text), nil
			}
			return nil, source.ErrNoFile
		},
	}.Pipelines()
	if err != nil {
		return nil
	}
	for _, p := range all {
		is := slices.ContainsFunc(strings.Split(runs, ", "), func(run string) bool {
			return strings.HasSuffix(run, "/"+string(pipeline.RunID(guid).For(p.Plan.Name)))
		})
		if !p.Good() || !is || len(p.Plan.Stages) == 0 {
			continue
		}
		of := ""
		if p.Plan.Name != "" {
			of = " of " + p.Plan.Name
		}
		for _, s := range p.Plan.Stages[0].Steps {
			what := shorten(strings.TrimSpace(s.Run), 60)
			if s.Buildspec != "" {
				what = "the phases of " + s.Buildspec
			}
			steps = append(steps, fmt.Sprintf("the step %s of the stage %s%s would begin: %s", s.Name, p.Plan.Stages[0].Name, of, what))
		}
	}
	return steps
}
