package app_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/app"
)

// crowd is a patient with so many repositories.
func crowd(t *testing.T, n int) *patient {
	t.Helper()
	p := healthy(t)
	for i := 1; i < n; i++ {
		must(t, p.gh.CreateRepo)("octo", fmt.Sprintf("more-%03d", i), true)
	}
	p.quiet()
	return p
}

func TestTheDoctorLooksIntoEveryRepositoryOfAllPagesAndSaysHowFarItIs(t *testing.T) {
	t.Parallel()
	const many = 103
	p := crowd(t, many)
	var first, last string
	all := app.ExamineSome(context.Background(), p.config, time.Now, app.MostLooked, func(looked, of int) {
		last = fmt.Sprintf("%d of %d", looked, of)
		if first == "" {
			first = last
		}
	})
	seen := map[string]bool{}
	for _, f := range all {
		if repo, ok := strings.CutPrefix(f.Name, "Required checks of "); ok {
			seen[repo] = true
		}
	}
	if len(seen) != many || !seen["octo/more-102"] {
		t.Errorf("it looked into %d of %d", len(seen), many)
	}
	if first != "0 of 103" || last != "103 of 103" {
		t.Errorf("it said %q first and %q last", first, last)
	}
	if !strings.Contains(list(all), "All 103 were looked into.") {
		t.Errorf("it does not say that these are all:\n%s", list(all))
	}
}

func TestTheDoctorNamesTheBoundThatItStopsAt(t *testing.T) {
	t.Parallel()
	p := crowd(t, 4)
	all := app.ExamineSome(context.Background(), p.config, time.Now, 3, func(looked, of int) {
		if of != 3 {
			t.Errorf("it will look into %d", of)
		}
	})
	last := all[len(all)-1]
	if last.Name != "Repositories" || last.Level != app.Warning || !strings.Contains(last.Says, "Of 4 repositories, the first 3 were looked into") || last.Fix == "" {
		t.Errorf("it says %+v", last)
	}
}
