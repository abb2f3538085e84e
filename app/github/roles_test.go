package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// answering gives a stub that answers the permission question with the words given, and names the repository's number.
func answering(t *testing.T, repo int64, permission func() string) *stub {
	return newStub(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/permission") {
			fmt.Fprint(w, permission())
			return
		}
		fmt.Fprintf(w, `{"id":%d,"name":"shop","owner":{"login":"acme"},"default_branch":"main"}`, repo)
	})
}

func TestRolesAreReadAsGitHubNamesThem(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]pipeline.Role{
		`{"permission":"admin","role_name":"admin","user":{"id":9}}`:        pipeline.Admin,
		`{"permission":"write","role_name":"maintain","user":{"id":9}}`:     pipeline.Maintain,
		`{"permission":"write","role_name":"write","user":{"id":9}}`:        pipeline.Write,
		`{"permission":"read","role_name":"triage","user":{"id":9}}`:        pipeline.Triage,
		`{"permission":"read","role_name":"read","user":{"id":9}}`:          pipeline.Read,
		`{"permission":"none","role_name":"none","user":{"id":9}}`:          pipeline.NoRole,
		`{"permission":"write","role_name":"release-lead","user":{"id":9}}`: pipeline.Write,
		`{"permission":"read","user":{"id":9,"role_name":"triage"}}`:        pipeline.Triage,
		`{"permission":"owner","role_name":"superuser","user":{"id":9}}`:    pipeline.NoRole,
		`{"permission":"admin","role_name":"admin","user":{"id":10}}`:       pipeline.NoRole,
		`{"permission":"admin","role_name":"admin","user":null}`:            pipeline.NoRole,
		`{"permission":"admin","role_name":"admin"}`:                        pipeline.NoRole,
		`{}`: pipeline.NoRole,
	} {
		s := answering(t, shop.ID, func() string { return words })
		if got, err := s.installation(t).Role(testContext(t), shop, "ada", 9); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", words, got, err, want)
		}
	}
}

func TestARepositoryThatTookAnOldNameGivesNoRole(t *testing.T) {
	t.Parallel()
	s := answering(t, 999, func() string { return `{"permission":"admin","role_name":"admin","user":{"id":9}}` })
	role, err := s.installation(t).Role(testContext(t), shop, "ada", 9)
	if role != pipeline.NoRole || !errors.Is(err, github.ErrGone) {
		t.Fatalf("got %q, %v", role, err)
	}
}

func TestARoleIsKeptForAMinuteAtMost(t *testing.T) {
	t.Parallel()
	role := "admin"
	s := answering(t, shop.ID, func() string { return `{"permission":"write","role_name":"` + role + `","user":{"id":9}}` })
	in, ctx := s.installation(t), testContext(t)
	ask := func(want pipeline.Role, requests int64) {
		t.Helper()
		got, err := in.Role(ctx, shop, "ada", 9)
		if n := s.asked.Load(); err != nil || got != want || n != requests {
			t.Fatalf("got %q after %d requests, %v; want %q after %d", got, n, err, want, requests)
		}
	}
	ask(pipeline.Admin, 2)
	role = "read"
	s.clock.move(59 * time.Second)
	ask(pipeline.Admin, 2)
	if got, err := in.RoleNow(ctx, shop, "ada", 9); err != nil || got != pipeline.Read || s.asked.Load() != 4 {
		t.Fatalf("asked anew, it is %q after %d requests, %v", got, s.asked.Load(), err)
	}
	ask(pipeline.Read, 4)
	role = "triage"
	s.clock.move(time.Minute)
	ask(pipeline.Triage, 6)
}

func TestOnlyActiveMembersUnderTheirOwnNumberAreInATeam(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]bool{
		`{"state":"active"} {"id":9}`:  true,
		`{"state":"pending"} {"id":9}`: false,
		`{"state":"active"} {"id":10}`: false,
		`{} {"id":9}`:                  false,
		`404 {"id":9}`:                 false,
		`{"state":"active"} 404`:       false,
	} {
		membership, user, _ := strings.Cut(words, " ")
		s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
			said := user
			if strings.HasSuffix(r.URL.Path, "/orgs/acme/teams/release/memberships/ada") {
				said = membership
			}
			if said == "404" {
				w.WriteHeader(http.StatusNotFound)
			}
			fmt.Fprint(w, said)
		})
		if got, err := s.installation(t).TeamMember(testContext(t), "acme", "release", "ada", 9); err != nil || got != want {
			t.Errorf("%s: got %v, %v", words, got, err)
		}
	}
}

func TestNoRoleComesWithAnError(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	in, ctx := s.installation(t), testContext(t)
	if role, err := in.Role(ctx, shop, "ada", 9); err == nil || role != pipeline.NoRole {
		t.Errorf("got %q, %v", role, err)
	}
	if member, err := in.TeamMember(ctx, "acme", "release", "ada", 9); err == nil || member {
		t.Errorf("got %v, %v", member, err)
	}
}

func TestAPullRequestOfARepositoryThatTookTheNameIsNotOurs(t *testing.T) {
	t.Parallel()
	s := newStub(t, pull)
	other := shop
	other.ID = 999
	if p, err := s.installation(t).Pull(testContext(t), other, 3); !errors.Is(err, github.ErrGone) || p != (github.Pull{}) {
		t.Fatalf("got %+v, %v", p, err)
	}
}
