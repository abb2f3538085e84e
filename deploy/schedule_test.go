package deploy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

var (
	nightly = pipeline.Time{Cron: "0 3 * * *", Zone: "Europe/Paris"}
	hourly  = pipeline.Time{Cron: "0 * * * *"}
)

// planOf is a plan of the default branch with a schedule.
func planOf(pushed bool, times ...pipeline.Time) deploy.Event {
	return deploy.Defined{Repo: pipeline.Repo{ID: 7, Owner: "octo", Name: "shop", Branch: "main"}, Commit: pipeline.Commit(strings.Repeat("a", 40)), Pushed: pushed, Schedule: times}
}

// owedTimes are the debts of a schedule, by name.
func owedTimes(t *testing.T, events ...deploy.Event) string {
	t.Helper()
	var s deploy.State
	for _, e := range events {
		s = deploy.Apply(s, stored(t, e))
	}
	var owed []string
	for _, e := range deploy.Next(s) {
		switch e := e.(type) {
		case deploy.FindTime:
			owed = append(owed, e.Name())
		case deploy.StartAt:
			if !e.Due().Equal(e.At) {
				t.Errorf("%s is due at %s", e.Name(), e.Due())
			}
			owed = append(owed, e.Name())
		}
	}
	return strings.Join(owed, ", ")
}

func TestAScheduleIsOwedAtItsTimeAndComesOnceHoweverLongNobodyWasThere(t *testing.T) {
	t.Parallel()
	known := func(p pipeline.Time, second int) deploy.Event {
		return deploy.TimeKnown{Time: p, Next: at(second), At: at(0)}
	}
	came := func(p pipeline.Time, due, now int) deploy.Event {
		return deploy.TimeCame{Time: p, Due: at(due), Run: "run/7/schedule", At: at(now)}
	}
	on := func(second int) string { return at(second).UTC().Format(time.RFC3339) }
	for name, c := range map[string]struct {
		events []deploy.Event
		want   string
	}{
		"the next time is looked up":                      {[]deploy.Event{planOf(true, nightly)}, "find/0 3 * * */Europe/Paris"},
		"then it is owed at that time":                    {[]deploy.Event{planOf(true, nightly), known(nightly, 60)}, "start/0 3 * * */Europe/Paris/" + on(60)},
		"a second answer moves nothing":                   {[]deploy.Event{planOf(true, nightly), known(nightly, 60), known(nightly, 90)}, "start/0 3 * * */Europe/Paris/" + on(60)},
		"when it came the next one is looked up":          {[]deploy.Event{planOf(true, hourly), known(hourly, 60), came(hourly, 60, 100_000)}, "find/0 * * * */"},
		"what came late of another time changes nothing":  {[]deploy.Event{planOf(true, hourly), known(hourly, 60), came(hourly, 30, 61)}, "start/0 * * * *//" + on(60)},
		"another push keeps when it comes":                {[]deploy.Event{planOf(true, hourly), known(hourly, 60), planOf(true, nightly, hourly)}, "start/0 * * * *//" + on(60) + ", find/0 3 * * */Europe/Paris"},
		"a plan without it ends it":                       {[]deploy.Event{planOf(true, hourly), known(hourly, 60), planOf(true)}, ""},
		"what a pull request's base says starts nothing":  {[]deploy.Event{planOf(false, hourly)}, ""},
		"a base that is told of late does not end it":     {[]deploy.Event{planOf(true, hourly), known(hourly, 60), planOf(false)}, "start/0 * * * *//" + on(60)},
		"a time that was taken out meanwhile is not owed": {[]deploy.Event{planOf(true, hourly), planOf(true), known(hourly, 60)}, ""},
	} {
		if got := owedTimes(t, c.events...); got != c.want {
			t.Errorf("%s: owes %q, want %q", name, got, c.want)
		}
	}
}
