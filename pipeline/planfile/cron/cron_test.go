package cron_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/pipeline/planfile/cron"
)

func TestTheNextTimeIsThatOfTheClockOnTheWall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expression, zone, after, want string }{
		{"0 3 * * *", "", "2026-11-02T12:00:00Z", "2026-11-03T03:00:00Z"},
		{"0 3 * * *", "", "2026-11-03T03:00:00Z", "2026-11-04T03:00:00Z"},
		{"0 3 * * *", "", "2026-11-03T02:59:59Z", "2026-11-03T03:00:00Z"},
		{"*/15 8-9 * * 1-5", "Europe/Paris", "2026-11-06T08:50:00Z", "2026-11-09T07:00:00Z"},
		{"0 9 * * *", "Asia/Seoul", "2026-11-02T00:00:01Z", "2026-11-03T00:00:00Z"},
		{"30 2 * * *", "Europe/Paris", "2026-03-28T02:00:00Z", "2026-03-29T01:30:00Z"}, // there is no half past two on that day
		{"30 2 * * *", "Europe/Paris", "2026-10-24T12:00:00Z", "2026-10-25T01:30:00Z"}, // there are two
		{"30 2 * * *", "Europe/Paris", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"},
		{"0 0 29 2 *", "", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 0 1 JAN *", "", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"},
	} {
		after, err := time.Parse(time.RFC3339, c.after)
		if err != nil {
			t.Fatal(err)
		}
		got, err := cron.Next(c.expression, c.zone, after)
		if err != nil || got.Format(time.RFC3339) != c.want {
			t.Errorf("%s in %q after %s: %s, %v; want %s", c.expression, c.zone, c.after, got.Format(time.RFC3339), err, c.want)
		}
	}
}

func TestWhatIsNoScheduleIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"", ""}, {"@daily", ""}, {"* * * *", ""}, {"* * * * * *", ""}, {"61 * * * *", ""}, {"0 0 31 2 *", ""}, {"x * * * *", ""},
		{"0 3 * * *", "Mars/Base"}, {"0 3 * * *", "Local"}, {"0 3 * * *", "../etc/passwd"},
	} {
		if err := cron.Check(c[0], c[1]); err == nil {
			t.Errorf("%q in %q is a schedule", c[0], c[1])
		}
	}
}

func TestTheNextTimeIsAlwaysLater(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		expression := rapid.SampledFrom([]string{"* * * * *", "30 2 * * *", "0 0 1 * *", "*/7 1-3 * * 0", "59 23 31 12 *"}).Draw(t, "expression")
		zone := rapid.SampledFrom([]string{"", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"}).Draw(t, "zone")
		after := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "after"), 0)
		next, err := cron.Next(expression, zone, after)
		if err != nil || !next.After(after) || next.Second() != 0 {
			t.Fatalf("%s in %s after %s: %s, %v", expression, zone, after.UTC(), next, err)
		}
	})
}
