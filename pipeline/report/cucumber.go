package report

import (
	"encoding/json"
	"io"
	"strings"
	"time"
)

// cucumberFeature is one feature file; see https://github.com/cucumber/cucumber-json-schema
type cucumberFeature struct {
	URI      string             `json:"uri"`
	Name     string             `json:"name"`
	Elements []cucumberScenario `json:"elements"`
}

type cucumberScenario struct {
	Type   string         `json:"type"`
	Name   string         `json:"name"`
	Line   int            `json:"line"`
	Before []cucumberStep `json:"before"`
	Steps  []cucumberStep `json:"steps"`
	After  []cucumberStep `json:"after"`
}

type cucumberStep struct {
	Keyword string `json:"keyword"`
	Name    string `json:"name"`
	Line    int    `json:"line"`
	Result  struct {
		Status   string  `json:"status"`
		Duration float64 `json:"duration"` // nanoseconds
		Error    string  `json:"error_message"`
	} `json:"result"`
}

// Cucumber reads a report in Cucumber's JSON form. A scenario is a test; what fails is marked in its feature file. When the
// JSON breaks off or is wrong, what was read up to there comes together with the error.
func Cucumber(r io.Reader, tree Tree, limits Limits) (Findings, error) {
	c := newCollector(tree, limits)
	d := json.NewDecoder(c.stream(r))
	err := inArray(d, func() error {
		var f cucumberFeature
		if err := d.Decode(&f); err != nil {
			return err
		}
		c.feature(f)
		return nil
	})
	return c.jsonEnd("Cucumber", err)
}

func (c *collector) feature(f cucumberFeature) {
	at, _ := c.placeAlike(inTree(strings.TrimPrefix(harmless(f.URI), "classpath:"))...)
	var background []cucumberStep // belongs to the scenario that follows
	for _, s := range f.Elements {
		if s.Type == "background" {
			background = append(background, s.Steps...)
			continue
		}
		steps := append(append(append(background, s.Before...), s.Steps...), s.After...)
		background = nil
		c.scenario(at, f.Name+" › "+s.Name, s.Line, steps)
	}
}

func (c *collector) scenario(at, title string, line int, steps []cucumberStep) {
	var took float64
	failed, skipped := false, len(steps) > 0
	for _, s := range steps {
		took += max(s.Result.Duration, 0)
		switch strings.ToLower(s.Result.Status) {
		case "passed":
			skipped = false
		case "failed", "ambiguous", "undefined", "pending":
			if skipped = false; failed {
				continue
			}
			failed = true
			said := strings.TrimSpace(s.Keyword + s.Name)
			if s.Result.Error != "" {
				said += "\n" + s.Result.Error
			} else {
				said += "\nThe step is " + strings.ToLower(s.Result.Status) + "."
			}
			if s.Line > 0 {
				line = s.Line
			}
			c.failure(at, min(max(line, 1), maxLine), title, said)
		}
	}
	if took > 1e16 {
		took = 0
	}
	c.test(title, time.Duration(took), failed, skipped && !failed)
}
