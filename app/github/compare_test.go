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
	got, err := c.in.Compare(t.Context(), c.repo, c.commit, pipeline.Commit(head), 1000)
	must(t, err)
	if got.Total != 105 || len(got.Commits) != 105 || got.Behind != 0 {
		t.Fatalf("%d of %d, %d behind", len(got.Commits), got.Total, got.Behind)
	}
	last := got.Commits[104]
	if last.Commit != pipeline.Commit(head) || last.Title != "change 104" || last.Author != "ada" || last.Unknown || len(last.People) == 0 || last.People[0].Login != "ada" || last.People[0].ID == 0 {
		t.Errorf("%+v", last)
	}
	few, err := c.in.Compare(t.Context(), c.repo, c.commit, pipeline.Commit(head), 50)
	must(t, err)
	if len(few.Commits) < 50 || len(few.Commits) > 100 || few.Total != 105 {
		t.Errorf("%d of %d", len(few.Commits), few.Total)
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
