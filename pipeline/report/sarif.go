package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// Alerts count what an analysis has found, by GitHub's levels.
type Alerts struct{ Failures, Warnings, Notices int }

// sarifResult is one result; see https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
type sarifResult struct {
	RuleID    string `json:"ruleId"`
	RuleIndex *int   `json:"ruleIndex"`
	Rule      *struct {
		ID string `json:"id"`
	} `json:"rule"`
	Level        string            `json:"level"`
	Kind         string            `json:"kind"`
	Message      sarifText         `json:"message"`
	Suppressions []json.RawMessage `json:"suppressions"`
	Locations    []struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region struct {
				StartLine int `json:"startLine"`
			} `json:"region"`
		} `json:"physicalLocation"`
	} `json:"locations"`
}

type sarifText struct {
	Text string `json:"text"`
	ID   string `json:"id"`
}

type sarifRule struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Short   sarifText `json:"shortDescription"`
	Default struct {
		Level string `json:"level"`
	} `json:"defaultConfiguration"`
	Messages map[string]sarifText `json:"messageStrings"`
}

type sarifTool struct {
	Driver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	} `json:"driver"`
}

const maxResults = 5_000 // of one run of a tool; GitHub shows no more either

// SARIF reads what an analysis has found, in its form 2.1.0. Suppressed results and those that found nothing are left out.
// When the JSON breaks off or is wrong, what was read up to there comes together with the error.
func SARIF(r io.Reader, tree Tree, limits Limits) (Findings, error) {
	c := newCollector(tree, limits)
	d := json.NewDecoder(c.stream(r))
	err := inObject(d, func(name string) error {
		if name != "runs" {
			return skip(d)
		}
		return inArray(d, func() error { return c.sarifRun(d) })
	})
	return c.jsonEnd("SARIF", err)
}

// sarifRun reads one run of a tool. Its rules may come before its results, or after them.
func (c *collector) sarifRun(d *json.Decoder) error {
	var tool sarifTool
	var results []sarifResult
	err := inObject(d, func(name string) error {
		switch name {
		case "tool":
			return d.Decode(&tool)
		case "results":
			return inArray(d, func() error {
				var one sarifResult
				err := d.Decode(&one)
				if len(results) < maxResults && err == nil {
					results = append(results, one)
				} else if err == nil {
					c.found.Cut++
				}
				return err
			})
		}
		return skip(d)
	})
	for _, one := range results {
		c.alert(one, tool)
	}
	return err
}

func (c *collector) alert(one sarifResult, tool sarifTool) {
	if len(one.Suppressions) > 0 || one.Kind != "" && one.Kind != "fail" || one.Level == "none" {
		return
	}
	rule := one.rule(tool.Driver.Rules)
	level := one.Level
	if level == "" {
		level = rule.Default.Level
	}
	switch level {
	case "error":
		level = Failure
		c.found.Alerts.Failures++
	case "note":
		level = Notice
		c.found.Alerts.Notices++
	case "none":
		return
	default: // the form's own default
		level = Warning
		c.found.Alerts.Warnings++
	}
	said := one.Message.Text
	if said == "" {
		said = rule.Messages[one.Message.ID].Text
	}
	if said == "" {
		said = rule.Short.Text
	}
	title := rule.ID
	if tool.Driver.Name != "" {
		title = tool.Driver.Name + ": " + title
	}
	if len(one.Locations) == 0 {
		c.note(level, "", 0, title, said)
		return
	}
	at := one.Locations[0].Physical
	where, _ := c.placeAlike(inTree(sarifPath(at.Artifact.URI))...)
	c.note(level, where, min(max(at.Region.StartLine, 1), maxLine), title, said)
}

// rule is the rule that a result breaks; of an unknown one there is the name.
func (one sarifResult) rule(rules []sarifRule) sarifRule {
	id := one.RuleID
	if id == "" && one.Rule != nil {
		id = one.Rule.ID
	}
	if i := one.RuleIndex; i != nil && *i >= 0 && *i < len(rules) {
		if id == "" || rules[*i].ID == id {
			return rules[*i]
		}
	}
	for _, r := range rules {
		if r.ID == id && id != "" {
			return r
		}
	}
	return sarifRule{ID: id}
}

// sarifPath is the path that an address names. What is no file of a disk names none.
func sarifPath(uri string) string {
	if len(uri) > maxPath {
		return ""
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "" && u.Scheme != "file" {
		return ""
	}
	return harmless(u.Path)
}

// stream is a report's bytes as they come, up to the limit.
func (c *collector) stream(r io.Reader) io.Reader {
	return &upTo{in: r, left: c.limits.Bytes, cut: &c.found.Truncated}
}

// upTo ends a report at the limit, and notes that it did.
type upTo struct {
	in   io.Reader
	left int64
	cut  *bool
}

func (u *upTo) Read(p []byte) (int, error) {
	if u.left <= 0 {
		var one [1]byte
		if n, err := u.in.Read(one[:]); n == 0 {
			return 0, err
		}
		*u.cut = true
		return 0, io.EOF
	}
	n, err := u.in.Read(p[:min(int64(len(p)), u.left)])
	u.left -= int64(n)
	return n, err
}

// jsonEnd gives what was found; a report that was cut at the limit is no mistake.
func (c *collector) jsonEnd(what string, err error) (Findings, error) {
	if err == nil || c.found.Truncated && errors.Is(err, io.ErrUnexpectedEOF) || c.found.Truncated && errors.Is(err, io.EOF) {
		return c.found, nil
	}
	return c.found, fmt.Errorf("report: read a %s report: %s", what, oneLine(strings.TrimPrefix(err.Error(), "json: "), 200))
}

var errShape = errors.New("it has another shape than such reports have")

// inObject calls field for each field of the object that comes next.
func inObject(d *json.Decoder, field func(name string) error) error {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return cmpErr(err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		if err := field(name.(string)); err != nil { // an object's names are always text
			return err
		}
	}
	_, err := d.Token()
	return err
}

// inArray calls item for each item of the array that comes next; null is an empty one.
func inArray(d *json.Decoder, item func() error) error {
	t, err := d.Token()
	if err == nil && t == nil {
		return nil
	}
	if err != nil || t != json.Delim('[') {
		return cmpErr(err)
	}
	for d.More() {
		if err := item(); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

func cmpErr(err error) error {
	if err == nil {
		return errShape
	}
	return err
}

// skip passes over the value that comes next, without keeping it, however deep it is.
func skip(d *json.Decoder) error {
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
