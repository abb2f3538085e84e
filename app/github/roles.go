package github

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

const (
	roleLife = time.Minute // a right that was taken away ends this much later at most
	maxRoles = 10_000      // kept at once
)

type roleKey struct{ repo, user int64 }

type roleKept struct {
	role  pipeline.Role
	until time.Time
}

// Role is what a person may do in the repository. id is who is asked about; login only finds the place. When the login
// has meanwhile been given to someone else, the person has no role. It is kept for a minute, and may be repeated. With an
// error, it is NoRole.
func (in *Installation) Role(ctx context.Context, repo pipeline.Repo, login string, id int64) (pipeline.Role, error) {
	if role, kept := in.keptRole(roleKey{repo.ID, id}); kept && checkRepo(repo) == nil && checkLogin(login, id) == nil {
		return role, nil
	}
	return in.RoleNow(ctx, repo, login, id)
}

// RoleNow is Role as it is at this moment, for what cannot be taken back: whoever has just lost the right to open a gate
// must not open it for another minute.
//
// https://docs.github.com/rest/collaborators/collaborators#get-repository-permissions-for-a-user
func (in *Installation) RoleNow(ctx context.Context, repo pipeline.Repo, login string, id int64) (pipeline.Role, error) {
	if err := checkRepo(repo); err != nil {
		return pipeline.NoRole, err
	}
	if err := checkLogin(login, id); err != nil {
		return pipeline.NoRole, err
	}
	ctx = withRoute(ctx, "roles")
	// go-github v60 reads the old permission only, in which maintain and write are the same.
	var answer struct {
		Permission string `json:"permission"`
		RoleName   string `json:"role_name"`
		User       struct {
			ID       int64  `json:"id"`
			RoleName string `json:"role_name"`
		} `json:"user"`
	}
	req, err := in.client.NewRequest(http.MethodGet, fmt.Sprintf("repos/%s/%s/collaborators/%s/permission", repo.Owner, repo.Name, login), nil)
	if err == nil {
		_, err = in.client.Do(ctx, req, &answer)
	}
	switch {
	case notFound(err):
		return pipeline.NoRole, nil // no such login, or nothing of this repository for it
	case err != nil:
		return pipeline.NoRole, said(ctx, err, false, "ask for the role of "+login+" in", repo.Slug())
	case answer.User.ID != id:
		in.app.log.Warn("a login belongs to someone else now", "login", login, "asked", id, "found", answer.User.ID)
		return pipeline.NoRole, nil
	}
	name := answer.RoleName
	if name == "" {
		name = answer.User.RoleName
	}
	role := roleOf(name, answer.Permission)
	if role != pipeline.NoRole {
		// Whoever may make repositories could take a renamed one's old name, and be its admin.
		now, err := in.Repo(ctx, repo.Owner, repo.Name)
		if err == nil && now.ID != repo.ID {
			err = &goneError{reason: "the name belongs to another repository now"}
		}
		if err != nil {
			return pipeline.NoRole, said(ctx, err, false, "ask for the role of "+login+" in", repo.Slug())
		}
	}
	in.keepRole(roleKey{repo.ID, id}, role)
	return role, nil
}

// roleOf reads the name of a role. One that an organisation made itself counts as what it is built on.
func roleOf(name, permission string) pipeline.Role {
	for _, said := range []string{name, permission} {
		switch role := pipeline.Role(strings.ToLower(said)); role {
		case pipeline.Read, pipeline.Triage, pipeline.Write, pipeline.Maintain, pipeline.Admin:
			return role
		case "none":
			return pipeline.NoRole
		}
	}
	return pipeline.NoRole
}

func (in *Installation) keptRole(key roleKey) (pipeline.Role, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	kept, ok := in.roles[key]
	return kept.role, ok && in.app.now().Before(kept.until)
}

func (in *Installation) keepRole(key roleKey, role pipeline.Role) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.roles) >= maxRoles {
		clear(in.roles)
	}
	in.roles[key] = roleKept{role: role, until: in.app.now().Add(roleLife)}
}

// TeamMember reports whether a person is an active member of a team, its child teams included. id is who is asked about.
// It may be repeated; with an error, it is false.
//
// https://docs.github.com/rest/teams/members#get-team-membership-for-a-user
func (in *Installation) TeamMember(ctx context.Context, org, slug, login string, id int64) (bool, error) {
	if err := checkLogin(login, id); err != nil {
		return false, err
	}
	if !ownerForm.MatchString(org) || !slugForm.MatchString(slug) {
		return false, fmt.Errorf("github: %q is not a team that can be asked for", org+"/"+slug)
	}
	ctx = withRoute(ctx, "teams")
	membership, _, err := in.client.Teams.GetTeamMembershipBySlug(ctx, org, slug, login)
	if notFound(err) || err == nil && membership.GetState() != "active" {
		return false, nil
	}
	if err != nil {
		return false, said(ctx, err, false, "ask whether "+login+" is in team", org+"/"+slug)
	}
	// The answer does not say whose login that is.
	user, _, err := in.client.Users.Get(ctx, login)
	if err != nil && !notFound(err) {
		return false, said(ctx, err, false, "ask for user", login)
	}
	return err == nil && user.GetID() == id, nil
}
