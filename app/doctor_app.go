package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
)

var rank = map[string]int{"read": 1, "write": 2, "admin": 3}

// compare holds rights against the manifest: what is missing, and what nobody needs.
func compare(have, want map[string]string) (missing, more []string) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if rank[have[name]] < rank[want[name]] {
			missing = append(missing, fmt.Sprintf("`%s: %s`", name, want[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if rank[have[name]] > rank[want[name]] {
			more = append(more, fmt.Sprintf("`%s: %s`", name, have[name]))
		}
	}
	return missing, more
}

// unasked are the events that GitHub sends to whoever may write checks.
var unasked = []string{"check_run", "check_suite"}

// rights compares what the App may do, and hears, with the manifest.
func (d *doctor) rights(r github.Registration) []Finding {
	link := r.HTMLURL
	missing, more := compare(r.Permissions, d.config.wanted().Permissions)
	permissions := Finding{Name: "Permissions", Level: OK, Says: "They are those of `manifest.yml`."}
	switch {
	case len(missing) > 0:
		permissions.Level, permissions.Says = Failed, "The App lacks "+strings.Join(missing, ", ")+"."
		permissions.Fix, permissions.Link = "Add them on the App's settings page, under *Permissions & events*; then each account must accept them.", link
	case len(more) > 0:
		permissions.Level, permissions.Says = Warning, "The App may do more than it needs: "+strings.Join(more, ", ")+"."
		permissions.Fix, permissions.Link = "Take them away on the App's settings page: whoever has the key has them, too.", link
	}
	var lacks, extra []string
	for _, e := range asked().Events {
		if !slices.Contains(r.Events, e) {
			lacks = append(lacks, "`"+e+"`")
		}
	}
	for _, e := range r.Events {
		if !slices.Contains(asked().Events, e) && !slices.Contains(unasked, e) {
			extra = append(extra, "`"+e+"`")
		}
	}
	events := Finding{Name: "Events", Level: OK, Says: "They are those of `manifest.yml`."}
	switch {
	case len(lacks) > 0:
		events.Level, events.Says = Failed, "The App does not hear "+strings.Join(lacks, ", ")+"."
		events.Fix, events.Link = "Subscribe to them on the App's settings page, under *Permissions & events*.", link
	case len(extra) > 0:
		events.Level, events.Says = Warning, "The App hears what it does not need: "+strings.Join(extra, ", ")+"."
		events.Fix, events.Link = "Unsubscribe on the App's settings page: each is a delivery that is kept for nothing.", link
	}
	return []Finding{permissions, events}
}

// hook looks at where webhooks go, and whether they arrive.
func (d *doctor) hook(ctx context.Context, r github.Registration) []Finding {
	h, err := d.github.Hook(ctx)
	want := hookURL(d.config.PublicURL)
	f := Finding{Name: "Webhook address", Level: OK, Says: "GitHub sends to `" + want + "`, signed.", Link: ""}
	switch {
	case errors.Is(err, github.ErrGone), err == nil && h.URL == "":
		f.Level, f.Says, f.Fix, f.Link = Failed, "The App has no webhook: Conveyor hears nothing.", "On the App's settings page, make it active, with the address `"+want+"` and the secret of this server.", r.HTMLURL
		return []Finding{f}
	case err != nil:
		f.Level, f.Says = Unknown, "GitHub does not say where it sends: "+lower(err)
	case h.URL != want:
		f.Level, f.Says = Failed, "GitHub sends webhooks to `"+strings.ReplaceAll(h.URL, "`", "'")+"`, and this server hears at `"+want+"`."
		f.Fix, f.Link = "Change the address on the App's settings page, or `CONVEYOR_PUBLIC_URL` when that is wrong.", r.HTMLURL
	case h.ContentType != "json":
		f.Level, f.Says, f.Fix, f.Link = Failed, "GitHub sends webhooks as a form, which is refused.", "Set the content type to `application/json` on the App's settings page.", r.HTMLURL
	case h.Secret == "":
		f.Level, f.Says, f.Fix, f.Link = Failed, "The webhook has no secret at GitHub, so that every delivery is refused.", "Set this server's webhook secret on the App's settings page.", r.HTMLURL
	case h.Unproven():
		f.Level, f.Says, f.Fix, f.Link = Warning, "GitHub does not look at this server's certificate.", "Enable SSL verification on the App's settings page.", r.HTMLURL
	}
	return []Finding{f, d.roundTrip(ctx, r)}
}

// probe is the delivery that GitHub was asked to send again. It is asked for once, and looked for as often as anyone likes.
type probe struct {
	mu    sync.Mutex
	guid  string
	known []int64 // attempts of before
	asked time.Time
}

// longTrip is when a delivery that was asked for is asked for once more.
const longTrip = time.Minute

// roundTrip asks GitHub to send a delivery once more, and looks whether it was taken. A ping is best; else one that was
// taken before, which starts nothing twice. One that was never taken is left alone: its time may be over.
func (d *doctor) roundTrip(ctx context.Context, r github.Registration) Finding {
	p := d.probe
	p.mu.Lock()
	defer p.mu.Unlock()
	f := Finding{Name: "Webhook round trip", Level: Unknown, Says: "GitHub was asked to send a delivery once more; it has not come back yet.", Fix: "Look again in a moment."}
	again(ctx, d.patience, func() bool {
		tries, _, err := d.github.Attempts(ctx, "")
		if err != nil {
			f.Says = "GitHub does not list its deliveries: " + lower(err)
			return true
		}
		for _, t := range tries {
			if p.guid != "" && t.GUID == p.guid && t.Redelivery && !slices.Contains(p.known, t.ID) {
				f = tripped(t, r)
				if !t.OK && d.now().Sub(p.asked) > fresh {
					p.guid = "" // look anew next time: it may have been put right
				}
				return true
			}
		}
		if p.guid != "" && d.now().Sub(p.asked) < longTrip {
			return false
		}
		for _, t := range tries {
			if t.Event == "ping" && p.choose(t, tries, d.now()) {
				break
			}
		}
		for _, t := range tries {
			if p.guid == "" && t.OK && p.choose(t, tries, d.now()) {
				break
			}
		}
		if p.guid == "" {
			if len(tries) == 0 {
				f.Says, f.Fix = "GitHub has sent nothing yet.", "Install the App on a repository: that is its first webhook."
			} else {
				f = tripped(tries[0], r)
			}
			return true
		}
		if err := d.github.Redeliver(ctx, p.known[len(p.known)-1]); err != nil {
			p.guid = ""
			f.Says = "GitHub does not send a delivery again: " + lower(err)
			return true
		}
		return false
	})
	return f
}

// choose takes a delivery for the probe. The one to send again is the last of the known.
func (p *probe) choose(t github.Attempt, tries []github.Attempt, now time.Time) bool {
	p.guid, p.asked, p.known = t.GUID, now, nil
	for _, other := range tries {
		if other.ID != t.ID {
			p.known = append(p.known, other.ID)
		}
	}
	p.known = append(p.known, t.ID)
	return true
}

// tripped says what came of a delivery.
func tripped(t github.Attempt, r github.Registration) Finding {
	f := Finding{Name: "Webhook round trip", Level: Failed, Link: r.HTMLURL}
	at := t.At.Format("15:04:05") + " UTC"
	switch {
	case t.OK:
		return Finding{Name: f.Name, Level: OK, Says: fmt.Sprintf("GitHub sent a `%s` at %s, and this server took it.", t.Event, at)}
	case t.Code == 401:
		f.Says = "The delivery of " + at + " arrived, and its signature was refused: the secret at GitHub is not the one of this server."
		f.Fix = "Set this server's webhook secret on the App's settings page; docs/operating.md says how two can be in force at once."
	case t.Code == 503:
		f.Says = "The delivery of " + at + " arrived, and could not be kept."
		f.Fix = "Look at the finding about the journal, then redeliver it under *Advanced* on the App's settings page."
	case t.Code == 404 || t.Code == 405:
		f.Says = fmt.Sprintf("The delivery of %s arrived at something that is not Conveyor: it answered %d.", at, t.Code)
		f.Fix = "Let the web server in front pass `/webhooks/github` on as it is."
	default:
		f.Says = fmt.Sprintf("The delivery of %s did not arrive: GitHub says %d, %q.", at, t.Code, strings.ReplaceAll(t.Status, "`", "'"))
		f.Fix = "The public address must be reachable from GitHub over HTTPS, with a certificate that it trusts. *Advanced* on the App's settings page shows each delivery."
	}
	return f
}
