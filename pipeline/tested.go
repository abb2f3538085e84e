package pipeline

import (
	"fmt"
	"time"
)

// Tested is what the declared reports of a step say besides the number of its tests. All of it was written by the build:
// names are text from outside, and lists are short.
type Tested struct {
	Skipped  int        `json:"skipped,omitempty"`
	Slowest  []SlowTest `json:"slowest,omitempty"`  // the slowest first
	Failures []TestFail `json:"failures,omitempty"` // new ones first
	New      int        `json:"new,omitempty"`      // failures that the compared run did not have
	Compared string     `json:"compared,omitempty"` // the branch whose last run that was; empty when it has none
	Flaky    []Flaky    `json:"flaky,omitempty"`    // tests that have passed and failed by turns
	Unplaced int        `json:"unplaced,omitempty"` // findings that name no file of the commit
	Beyond   int        `json:"beyond,omitempty"`   // findings beyond what is kept
	Unread   []string   `json:"unread,omitempty"`   // why reports could not be read, a sentence each
	Alerts   *Alerts    `json:"alerts,omitempty"`
	Coverage *Coverage  `json:"coverage,omitempty"`
	SARIF    []Digest   `json:"sarif,omitempty"` // analyses that are kept, each as an artifact of one file, to be passed on to GitHub
}

// SlowTest is a test and how long it took.
type SlowTest struct {
	Name string        `json:"name"`
	Took time.Duration `json:"took"` // nanoseconds
}

// TestFail is a test that failed.
type TestFail struct {
	Name string `json:"name"`
	New  bool   `json:"new,omitempty"` // it did not fail in the compared run
}

// Flaky is a test whose results change from run to run, on one branch.
type Flaky struct {
	Name   string `json:"name"`
	Branch string `json:"branch"`
	Failed int    `json:"failed"` // times
	Runs   int    `json:"runs"`   // in which it ran, of the last ones
}

// Alerts count what analyses have found.
type Alerts struct {
	Failures int `json:"failures"`
	Warnings int `json:"warnings"`
	Notices  int `json:"notices"`
}

// Coverage counts lines that tests can run, and those that they have run.
type Coverage struct {
	Lines   int    `json:"lines"`
	Covered int    `json:"covered"`
	Outside int    `json:"outside,omitempty"` // files of the report that the commit does not hold; they do not count
	Was     *Ratio `json:"was,omitempty"`     // of the compared run
	Changed *Ratio `json:"changed,omitempty"` // of the lines that the pull request changes
	Unknown string `json:"unknown,omitempty"` // why those of a pull request are not known
}

// Ratio is a part of lines.
type Ratio struct {
	Lines   int `json:"lines"`
	Covered int `json:"covered"`
}

// Upload owes GitHub the analyses of a step.
type Upload struct {
	Step    string
	Attempt int
}

// Name of the effect.
func (e Upload) Name() string { return fmt.Sprintf("upload/%s/%d", e.Step, e.Attempt) }

// Uploaded says that GitHub has the analyses of a step, or why it never will.
type Uploaded struct {
	Step    string    `json:"step"`
	Attempt int       `json:"attempt"`
	GivenUp string    `json:"given_up,omitempty"`
	At      time.Time `json:"at"`
}

// uploads are the analyses that GitHub is still to get. Those of a step that an earlier run has passed went with that run.
func (s State) uploads() (owed []Effect) {
	for _, st := range s.Steps {
		if st.Phase == Done && st.From == "" && !st.Uploaded && st.Result.Tested != nil && len(st.Result.Tested.SARIF) > 0 {
			owed = append(owed, Upload{Step: st.Name, Attempt: st.Attempt})
		}
	}
	return owed
}
