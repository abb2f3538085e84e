// Package cron reads the times of a schedule: five fields, as crontab has them, in a time zone.
//
// It only answers when the next time comes. It never waits, starts nothing and knows no clock. Start reading at Next.
package cron

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a machine without time zones would run everything in UTC, or nothing

	"github.com/adhocore/gronx"
)

// Next is the first time of a schedule after another time. An empty zone is UTC. Its error is a sentence.
//
// A local time that a change of the clock leaves out comes with the first minute after it that fits; one that the change
// repeats comes once.
func Next(expression, zone string, after time.Time) (time.Time, error) {
	if n := len(strings.Fields(expression)); n != 5 || strings.HasPrefix(expression, "@") {
		return time.Time{}, fmt.Errorf("a schedule has five fields (minute, hour, day, month, weekday), and this has %d", n)
	}
	place, err := location(zone)
	if err != nil {
		return time.Time{}, err
	}
	if !gronx.IsValid(expression) {
		return time.Time{}, errors.New("this is no schedule")
	}
	// The fields are compared with the clock on the wall. It is read as if it never changed, and put into the zone then.
	local := after.In(place)
	wall := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), 0, time.UTC)
	for range 3 {
		if wall, err = gronx.NextTickAfter(expression, wall, false); err != nil {
			return time.Time{}, errors.New("this time never comes")
		}
		wall = wall.Truncate(time.Minute)
		next := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), 0, 0, place)
		if next.After(after) {
			return next.UTC(), nil
		}
	}
	return time.Time{}, errors.New("this time never comes")
}

// Check says what is wrong with a schedule, and nothing when it is good.
func Check(expression, zone string) error {
	_, err := Next(expression, zone, time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC))
	return err
}

// CheckZone says what is wrong with the name of a time zone.
func CheckZone(zone string) error {
	_, err := location(zone)
	return err
}

func location(zone string) (*time.Location, error) {
	if zone == "" {
		return time.UTC, nil
	}
	place, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return nil, fmt.Errorf("there is no time zone %q", zone)
	}
	return place, nil
}
