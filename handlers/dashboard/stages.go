package dashboard

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/conveyor-ci/conveyor/pipeline"
)

type stageView struct {
	Name  string
	State state
	Took  string
	Since time.Time // while it runs
	Steps []stepView
}

type stepView struct {
	Name, Log string
	State     state
	Took      string
	Since     time.Time // while it runs
	Reason    string
	Tests     string
	Lost      string // why the attempt before was lost
	Earlier   []attemptView
	Findings  []findingView
	More      int // findings that are not shown
	Command   string
}

// attemptView is an attempt that was lost.
type attemptView struct {
	Number int
	Log    string
}

type findingView struct {
	Place, URL, Level, Title, Message string
}

// What a page shows of a step's findings. The log has all of them.
const (
	mostFindings = 20
	mostMessage  = 1500
	mostCommand  = 4000
)

func (p *Pages) stage(s pipeline.State, i int, stage pipeline.Stage) stageView {
	v := stageView{Name: stage.Name, State: states["queued"]}
	var first, last time.Time
	for _, st := range s.Steps {
		if st.Stage != i {
			continue
		}
		step := p.step(s, st)
		for _, spec := range stage.Steps {
			if spec.Name == st.Name {
				step.Command = strings.TrimRight(cut(spec.Run+spec.Spec, mostCommand), "\n") // one of the two is empty
			}
		}
		if st.Attempt > 0 {
			v.State = states["running"]
			if first.IsZero() || st.Started.Before(first) {
				first = st.Started
			}
		}
		if st.Finished.After(last) {
			last = st.Finished
		}
		v.Steps = append(v.Steps, step)
	}
	switch c := s.StageConclusion(i); {
	case c == "" && !first.IsZero():
		v.Since = first
	case c == "":
	case c == pipeline.WasCancelled && (s.Cancel == "" || first.IsZero()):
		v.State = states["not run"]
	default:
		v.State, v.Took = states[string(c)], took(first, last)
	}
	return v
}

func (p *Pages) step(s pipeline.State, st pipeline.StepState) stepView {
	v := stepView{Name: st.Name, Lost: sentence(plain(st.LostWhy)), State: states["queued"]}
	switch st.Phase {
	case pipeline.Waiting:
		if st.Attempt > 0 {
			v.State = states["retry"]
		}
	case pipeline.Running:
		v.State, v.Since = states["running"], st.Started
	case pipeline.Done:
		v.State, v.Reason = states[string(st.Result.Outcome)], plain(st.Result.Reason)
		if st.From != "" {
			v.Reason = "In an earlier run of this commit."
		}
		if s.Forgiven(st) {
			v.State = states["may fail"]
		}
		if st.Tries > 0 {
			v.Reason = strings.TrimSpace(fmt.Sprintf("Attempt %d of at most %d. %s", st.Attempt, st.Attempt-st.Tries+s.Retries(st), v.Reason))
		}
		v.Took = took(st.Started, st.Finished)
		v.Tests = evidence(st.Result)
		if st.Result.Outcome == pipeline.Infrastructure {
			v.Lost = "" // the result says the same
		}
		v.Findings, v.More = p.findings(s, st.Result.Annotations)
	case pipeline.NotRun:
		v.State, v.Reason = states["not run"], plain(st.Result.Reason)
	case pipeline.LeftOut:
		v.State, v.Reason = states["left out"], plain(st.Why)
	}
	if st.Attempt > 0 {
		v.Log = logQuery(st.Name, st.Attempt)
		for n := 1; n < st.Attempt; n++ {
			v.Earlier = append(v.Earlier, attemptView{n, logQuery(st.Name, n)})
		}
	}
	return v
}

func tests(r pipeline.Result) string {
	switch {
	case r.Tests == 0:
		return ""
	case r.TestsFailed == 0:
		return count(r.Tests, "test") + " passed"
	}
	return fmt.Sprintf("%d of %s failed", r.TestsFailed, count(r.Tests, "test"))
}

// evidence is what the reports of a step say, in one line.
func evidence(r pipeline.Result) string {
	words := []string{}
	if t := tests(r); t != "" {
		words = append(words, t)
	}
	if t := r.Tested; t != nil {
		if t.New > 0 {
			words = append(words, fmt.Sprintf("%d new since the last run of %s", t.New, plain(t.Compared)))
		}
		if n := len(t.Flaky); n > 0 {
			words = append(words, fmt.Sprintf("%d flaky", n))
		}
		if c := t.Coverage; c != nil && c.Lines > 0 {
			said := fmt.Sprintf("%.1f%% of the lines covered", 100*float64(c.Covered)/float64(c.Lines))
			if d := c.Changed; d != nil && d.Lines > 0 {
				said += fmt.Sprintf(", of the changed ones %d of %d", d.Covered, d.Lines)
			}
			words = append(words, said)
		}
		if a := t.Alerts; a != nil {
			words = append(words, count(a.Failures+a.Warnings+a.Notices, "alert"))
		}
		if t.Unplaced > 0 {
			words = append(words, count(t.Unplaced, "finding")+" outside of the commit's files")
		}
	}
	return strings.Join(words, "; ")
}

func (p *Pages) findings(s pipeline.State, all []pipeline.Annotation) (views []findingView, more int) {
	for i, a := range all {
		if i == mostFindings {
			return views, len(all) - i
		}
		v := findingView{
			Place: fmt.Sprintf("%s:%d", plain(a.Path), a.Line), Level: level(a.Level), Title: cut(plain(a.Title), 200), Message: cut(printed(a.Message), mostMessage),
			URL: p.github(s.Trigger.Repo, "blob", string(s.Trigger.Commit), a.Path) + fmt.Sprintf("#L%d", a.Line),
		}
		views = append(views, v)
	}
	return views, 0
}

// level keeps to GitHub's words.
func level(said string) string {
	if said == "warning" || said == "notice" {
		return said
	}
	return "failure"
}

// lines is text from outside of several lines, each as plain makes it.
func lines(text string) string {
	all := strings.Split(strings.TrimRight(strings.ToValidUTF8(text, string(utf8.RuneError)), "\n"), "\n")
	for i, line := range all {
		all[i] = strings.TrimRight(plain(strings.ReplaceAll(line, "\t", "    ")), " ")
	}
	return strings.Join(all, "\n")
}
