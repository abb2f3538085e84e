package github

func (c *call) getOrg() answer {
	org := c.org()
	if org == nil {
		return notFound()
	}
	o := c.s.renderOrg(org)
	for k, v := range (obj{"has_organization_projects": true, "has_repository_projects": true, "public_repos": 0, "public_gists": 0,
		"followers": 0, "following": 0, "html_url": c.s.html("/%s", org.Login), "type": "Organization",
		"created_at": stamp(org.made), "updated_at": stamp(org.made), "archived_at": nil}) {
		o[k] = v
	}
	return ok(o)
}

func (c *call) org() *User {
	if u := c.s.user(c.param["org"]); u != nil && u.Kind == "Organization" {
		return u
	}
	return nil
}

// checkMember answers 204 or 404; one who is not of the organisation and asks
// is sent to the public members instead.
func (c *call) checkMember() answer {
	org, u := c.org(), c.s.user(c.param["username"])
	if org == nil || u == nil || !org.member[u.ID] {
		return notFound()
	}
	return noContent()
}

func (c *call) orgMembership() answer {
	org, u := c.org(), c.s.user(c.param["username"])
	if org == nil || u == nil || !org.member[u.ID] {
		return notFound()
	}
	role := "member"
	if org.owners[u.ID] {
		role = "admin"
	}
	return ok(obj{"url": c.s.api("/orgs/%s/memberships/%s", org.Login, u.Login), "state": "active", "role": role,
		"organization_url": c.s.api("/orgs/%s", org.Login), "organization": c.s.renderOrg(org), "user": c.s.renderUser(u)})
}

func (c *call) listTeams() answer {
	org := c.org()
	if org == nil {
		return notFound()
	}
	var teams []*Team
	for _, t := range c.s.teams {
		if t.Org == org.Login {
			teams = append(teams, t)
		}
	}
	return ok(list(c, teams, c.s.renderTeamFull))
}

func (c *call) getTeam() answer {
	t := c.s.team(c.param["org"], c.param["team_slug"])
	if t == nil {
		return notFound()
	}
	o := c.s.renderTeamFull(t)
	org := c.s.renderOrg(c.s.user(t.Org))
	for k, v := range (obj{"has_organization_projects": true, "has_repository_projects": true, "public_repos": 0, "public_gists": 0,
		"followers": 0, "following": 0, "html_url": c.s.html("/%s", t.Org), "type": "Organization",
		"created_at": stamp(c.s.now()), "updated_at": stamp(c.s.now()), "archived_at": nil}) {
		org[k] = v
	}
	o["organization"], o["members_count"], o["repos_count"] = org, len(t.members), len(t.grants)
	o["created_at"], o["updated_at"] = stamp(c.s.user(t.Org).made), stamp(c.s.user(t.Org).made)
	return ok(o)
}

func (c *call) listTeamMembers() answer {
	t := c.s.team(c.param["org"], c.param["team_slug"])
	if t == nil {
		return notFound()
	}
	var members []*User
	for _, u := range c.s.people() {
		if c.s.membership(t, u) == "active" {
			members = append(members, u)
		}
	}
	return ok(list(c, members, c.s.renderUser))
}

func (c *call) teamMembership() answer {
	t, u := c.s.team(c.param["org"], c.param["team_slug"]), c.s.user(c.param["username"])
	if t == nil || u == nil {
		return notFound()
	}
	state := c.s.membership(t, u)
	if state == "" {
		return notFound()
	}
	return ok(obj{"url": c.s.api("/organizations/%d/team/%d/memberships/%s", c.s.user(t.Org).ID, t.ID, u.Login), "role": "member", "state": state})
}
