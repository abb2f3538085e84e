package github

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
)

// event is something that webhooks tell of.
type event struct {
	name, action string
	repo         *Repo
	installation *Installation // of events about an installation itself
	sender       *User
	only         *App // events that nobody else may hear
	payload      obj
}

// alwaysDelivered cannot be subscribed to.
var alwaysDelivered = []string{"installation", "installation_repositories", "github_app_authorization", "ping"}

func (s *Server) newGUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	x := hex.EncodeToString(b)
	return fmt.Sprintf("%s-%s-%s-%s-%s", x[:8], x[8:12], x[12:16], x[16:20], x[20:])
}

// raise queues an event for every App that hears it. The GUID names the
// event: two Apps get the same one.
func (s *Server) raise(e event) {
	guid := s.newGUID()
	for _, a := range s.apps {
		if e.only != nil && e.only != a {
			continue
		}
		if e.installation != nil {
			if e.installation.app == a {
				s.deliver(a, e.installation, nil, e.name, e.action, guid, s.complete(e, e.installation))
			}
			continue
		}
		for _, i := range a.installations {
			if i.covers(e.repo) && i.hears(e) {
				s.deliver(a, i, e.repo, e.name, e.action, guid, s.complete(e, i))
			}
		}
	}
}

// hears tells whether an installation gets an event: subscribed to, with the
// permission for it, and not suspended.
func (i *Installation) hears(e event) bool {
	if !i.SuspendedAt.IsZero() {
		return false
	}
	if slices.Contains(alwaysDelivered, e.name) {
		return true
	}
	level := "read"
	if e.action == "rerequested" || e.action == "requested_action" || (e.name == "check_suite" && e.action == "requested") {
		level = "write"
	}
	if !slices.ContainsFunc(eventNeeds[e.name], func(p string) bool { return p == "metadata" || allows(i.Permissions, p, level) }) {
		return false
	}
	return slices.Contains(i.Events, e.name)
}

// complete adds what every payload has.
func (s *Server) complete(e event, i *Installation) obj {
	p := obj{}
	for k, v := range e.payload {
		p[k] = v
	}
	if e.action != "" {
		p["action"] = e.action
	}
	p["sender"] = s.renderUser(e.sender)
	if e.installation != nil {
		p["installation"] = s.renderInstallation(i)
		return p
	}
	p["installation"] = obj{"id": i.ID, "node_id": nodeID("IN", i.ID)}
	if p["repository"] == nil {
		p["repository"] = s.renderRepo(e.repo)
	}
	if owner := s.user(e.repo.Owner); owner.Kind == "Organization" {
		p["organization"] = s.renderOrg(owner)
	}
	return p
}
