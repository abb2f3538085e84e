package github_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestAComparisonTellsAllCommitsWithTheirPeople(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	var head string
	for i := range 105 { // more than one page
		var err error
		head, err = c.Commit(slug, "main", []string{"ada", "bob"}[i%2], fmt.Sprintf("change %d\n\nmore", i), map[string]string{"n": fmt.Sprint(i)})
		must(t, err)
	}
	few, err := c.in.Compare(t.Context(), c.repo, c.commit, pipeline.Commit(head), 50)
	must(t, err)
	if len(few.Commits) < 50 || len(few.Commits) > 100 || few.Total != 105 {
		t.Errorf("%d of %d", len(few.Commits), few.Total)
	}
	got, err := c.in.Compare(t.Context(), c.repo, c.commit, pipeline.Commit(head), 1000)
	must(t, err)
	if got.Total != 105 || len(got.Commits) != 105 || got.Behind != 0 {
		t.Fatalf("%d of %d, %d behind", len(got.Commits), got.Total, got.Behind)
	}
	last := got.Commits[104]
	if last.Commit != pipeline.Commit(head) || last.Title != "change 104" || last.Author != "ada" || last.Unknown || len(last.People) == 0 || last.People[0].Login != "ada" || last.People[0].ID == 0 {
		t.Errorf("%+v", last)
	}
	back, err := c.in.Compare(t.Context(), c.repo, pipeline.Commit(head), c.commit, 50)
	must(t, err)
	if back.Behind != 105 || back.Total != 0 {
		t.Errorf("%+v", back)
	}
	one, err := c.in.Commit(t.Context(), c.repo, pipeline.Commit(head))
	must(t, err)
	if one.Commit != last.Commit || one.Title != last.Title {
		t.Errorf("%+v", one)
	}
	if _, err := c.in.Compare(t.Context(), c.repo, c.commit, pipeline.Commit(strings.Repeat("d", 40)), 50); !errors.Is(err, github.ErrGone) {
		t.Errorf("a commit that is not there: %v", err)
	}
}

// What full commit ids name never changes, so the second who asks costs no call: neither under the repository's new name nor
// when fewer commits are wanted.
func TestWhatACommitsIdMakesImmutableIsAskedForOnce(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	heads := []pipeline.Commit{c.commit}
	for i := range 102 {
		head, err := c.Server.Commit(slug, "main", "ada", fmt.Sprintf("change %d", i), map[string]string{"n": fmt.Sprint(i)})
		must(t, err)
		heads = append(heads, pipeline.Commit(head))
	}
	last := heads[102]
	calls := func(want int, what string, ask func() error) {
		t.Helper()
		before := len(c.Calls())
		must(t, ask())
		if n := len(c.Calls()) - before; n != want {
			t.Errorf("%s: %d calls, want %d", what, n, want)
		}
	}
	compare := func(in *github.Installation, repo pipeline.Repo, base pipeline.Commit, most int) func() error {
		return func() error {
			got, err := in.Compare(t.Context(), repo, base, last, most)
			if n := len(got.Commits); n < min(most, got.Total) || n > 0 && got.Commits[n-1].Title == "" {
				t.Errorf("%d commits of %d: %+v", n, got.Total, got)
			}
			for i := range got.Commits {
				got.Commits[i] = github.Commit{} // it is the caller's own
			}
			return err
		}
	}
	must(t, compare(c.in, c.repo, c.commit, 50)()) // and the token
	calls(0, "again", compare(c.in, c.repo, c.commit, 100))
	calls(2, "more than is known", compare(c.in, c.repo, c.commit, 1000))
	calls(0, "all of it again", compare(c.in, c.repo, c.commit, 1000))
	calls(0, "a part of it again", compare(c.in, c.repo, c.commit, 10))
	renamed := c.repo
	renamed.Name = "store"
	calls(0, "under another name", compare(c.in, renamed, c.commit, 1000))
	calls(1, "another base", compare(c.in, c.repo, heads[101], 1000))
	one := func() error { _, err := c.in.Commit(t.Context(), c.repo, last); return err }
	calls(1, "a commit", one)
	calls(0, "the commit again", one)
	gone := func() error {
		if _, err := c.in.Commit(t.Context(), c.repo, pipeline.Commit(strings.Repeat("d", 40))); err == nil {
			return errors.New("a commit that is not there was read")
		}
		return nil
	}
	calls(1, "what is not there", gone)
	calls(1, "what was not there may be there now", gone)
	calls(2, "another installation keeps its own", func() error {
		if _, err := c.app.Installation(c.installation+1).Compare(t.Context(), c.repo, c.commit, last, 10); err == nil {
			return errors.New("there is no such installation, and it got an answer")
		}
		_, err := c.in.Repo(t.Context(), c.repo.Owner, c.repo.Name)
		return err
	})
}

func TestAPullRequestTellsWhoseCommitsItHolds(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	for _, who := range []string{"ada", "bob"} {
		_, err := c.Server.Commit(slug, "topic", who, "by "+who, map[string]string{who: "x"})
		must(t, err)
	}
	pull, err := c.OpenPull(slug, "ada", "topic", "topic", "main")
	must(t, err)
	merged, err := c.Merge(slug, pull.Number, "ada")
	must(t, err)
	brought, err := c.in.Brought(t.Context(), c.repo, pipeline.Commit(merged))
	must(t, err)
	if len(brought) != 1 || int64(brought[0].Number) != pull.Number || brought[0].Author.Login != "ada" {
		t.Fatalf("%+v", brought)
	}
	commits, err := c.in.PullCommits(t.Context(), c.repo, brought[0].Number)
	must(t, err)
	var who []string
	for _, k := range commits {
		who = append(who, k.Author)
	}
	if !slices.Contains(who, "bob") || !slices.Contains(who, "ada") {
		t.Errorf("%v", who)
	}
}
