package deploy

import (
	"slices"
	"sort"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// FindTime owes the answer when a schedule comes next.
type FindTime struct{ Time pipeline.Time }

// StartAt owes a run of the default branch at a time. Times that pass while nobody is there come once: the next one is
// looked for after the clock of that moment.
type StartAt struct {
	Time pipeline.Time
	At   time.Time
}

// Name of the effect.
func (e FindTime) Name() string { return "find/" + timeWord(e.Time) }

// Name of the effect.
func (e StartAt) Name() string {
	return "start/" + timeWord(e.Time) + "/" + e.At.UTC().Format(time.RFC3339)
}

// timeWord names a schedule.
func timeWord(t pipeline.Time) string {
	word := t.Cron + "/" + t.Zone
	if t.Pipeline != "" {
		word += "/" + t.Pipeline
	}
	return word
}

// Due is when the effect is owed, and not before.
func (e StartAt) Due() time.Time { return e.At }

// scheduled takes the default branch's schedule. A time that stays keeps when it comes next. What a pull request's base
// said starts nothing.
func (s State) scheduled(e Defined) State {
	times := map[pipeline.Time]time.Time{}
	if e.Pushed {
		for _, t := range e.Schedule {
			times[t] = s.times[t]
		}
		for t, next := range s.times {
			if e.Wrong && !slices.Contains(e.Pipelines, t.Pipeline) {
				times[t] = next
			}
		}
	}
	s.times, s.ScheduledAt = times, e.Commit
	return s
}

func (s State) timeKnown(e TimeKnown) State {
	if next, ok := s.times[e.Time]; ok && next.IsZero() {
		s.times = with(s.times, e.Time, e.Next)
	}
	return s
}

func (s State) timeCame(e TimeCame) State {
	if next, ok := s.times[e.Time]; ok && next.Equal(e.Due) {
		s.times = with(s.times, e.Time, time.Time{})
	}
	return s
}

// owedTimes are the schedule's debts. A repository that is shut starts nothing; what comes meanwhile comes once, when it
// is open again.
func (s State) owedTimes() (owed []Effect) {
	if s.Shut != "" {
		return nil
	}
	all := make([]pipeline.Time, 0, len(s.times))
	for t := range s.times {
		all = append(all, t)
	}
	sort.Slice(all, func(i, j int) bool { return timeWord(all[i]) < timeWord(all[j]) })
	for _, t := range all {
		if at := s.times[t]; at.IsZero() {
			owed = append(owed, FindTime{t})
		} else {
			owed = append(owed, StartAt{t, at})
		}
	}
	return owed
}
