package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestWhatIsHeldBackIsKnownUntilItIsToldOrItsTimeHasCome(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var told []string
	h := newHeld(func() time.Time { return now }, func(stream string) { told = append(told, stream) })
	limited := func(d time.Duration) error {
		return fmt.Errorf("github: update a check: %w", &github.Limited{Until: now.Add(d)})
	}
	next := func(want time.Duration, streams ...string) {
		t.Helper()
		at, _ := h.next(streams...)
		if want == 0 && !at.IsZero() || want != 0 && !at.Equal(now.Add(want)) {
			t.Errorf("the next update of %v is at %s, want in %s", streams, at, want)
		}
	}
	one, two := pipeline.TellCheck{Check: "one", Mark: "queued"}, pipeline.TellCheck{Check: "two", Mark: "queued"}
	h.note("run/a", one, limited(time.Second)) // not worth a word
	h.note("run/a", one, errors.New("another mistake"))
	next(0, "run/a")
	if len(told) > 0 {
		t.Errorf("pages of %v were made anew for nothing", told)
	}
	h.note("run/a", one, limited(time.Hour))
	h.note("run/a", two, limited(time.Minute))
	h.note("repo/1", pipeline.Report{}, limited(time.Second*30))
	next(time.Minute, "run/a")
	next(time.Minute, "run/a", "repo/1")
	next(30*time.Second, "run/b", "repo/1")
	two.Mark = "completed" // newer news of the same check
	h.note("run/a", two, nil)
	next(time.Hour, "run/a")
	if !slices.Equal(told, []string{"run/a", "run/a", "repo/1", "run/a"}) {
		t.Errorf("pages of %v were made anew", told)
	}
	now = now.Add(time.Hour)
	next(0, "run/a", "repo/1")
	h.note("run/b", one, limited(time.Hour))
	if len(h.streams) != 1 {
		t.Errorf("%d streams are remembered", len(h.streams))
	}
}

// almostSpent is a GitHub that says that little is left of the hour.
type almostSpent struct{ reset time.Time }

func (s almostSpent) RoundTrip(r *http.Request) (*http.Response, error) {
	h := http.Header{"X-Ratelimit-Limit": {"5000"}, "X-Ratelimit-Remaining": {"1500"}, "X-Ratelimit-Reset": {fmt.Sprint(s.reset.Unix())}}
	status, body := http.StatusOK, `{"number": 5, "state": "open", "head": {"sha": "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"}, "base": {"repo": {"id": 7}}}`
	if strings.HasSuffix(r.URL.Path, "/access_tokens") {
		status, body = http.StatusCreated, `{"token": "ghs_x", "expires_at": "2100-01-01T00:00:00Z"}`
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func TestTheLastNewsBeforeAPauseSaysWhenThereIsMore(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	gh, err := github.New(github.Config{APIURL: "https://api.github.com", WebURL: "https://github.com", AppID: 1, PrivateKey: pemKey(),
		Transport: almostSpent{now.Add(20*time.Minute + time.Second)}, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	a, in := &App{clock: clock}, gh.Installation(3)
	progress := github.As(context.Background(), github.Progress)
	if words := a.newsWords(progress, in, ""); words != "" {
		t.Errorf("nothing is known of limits, and it says %q", words)
	}
	if _, err := in.Pull(github.As(t.Context(), github.Reply), pipeline.Repo{ID: 7, Owner: "octo", Name: "shop"}, 5); err != nil {
		t.Fatal(err)
	}
	if words := a.newsWords(progress, in, ""); !strings.Contains(words, "next update at 12:21 UTC or later") {
		t.Errorf("it says %q", words)
	}
	if words := a.newsWords(progress, in, pipeline.Success); words != "" {
		t.Errorf("of what is over it says %q", words)
	}
	if words := a.newsWords(github.As(t.Context(), github.Conclusion), in, ""); words != "" {
		t.Errorf("conclusions have calls left, and it says %q", words)
	}
}
