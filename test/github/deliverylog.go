package github

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (c *call) renderDelivery(d *Delivery) obj {
	null := func(id int64) any {
		if id == 0 {
			return nil
		}
		return id
	}
	return obj{"id": d.ID, "guid": d.GUID, "delivered_at": d.DeliveredAt.UTC().Format("2006-01-02T15:04:05.000Z"), "redelivery": d.Redelivery,
		"duration": float64(d.Duration.Milliseconds()) / 1000, "status": d.Status, "status_code": d.StatusCode, "event": d.Event, "action": orNull(d.Action),
		"installation_id": null(d.InstallationID), "repository_id": null(d.RepositoryID), "url": d.url, "throttled_at": nil}
}

// retention is how long a delivery can be listed and sent again.
const retention = 3 * 24 * time.Hour

func (c *call) keptDeliveries() []*Delivery {
	var out []*Delivery
	for _, d := range newestFirst(c.who.app.deliveries) {
		if c.s.now().Sub(d.DeliveredAt) < retention {
			out = append(out, d)
		}
	}
	slices.SortStableFunc(out, func(a, b *Delivery) int { return int(b.ID - a.ID) })
	return out
}

// listDeliveries pages by cursor, not by number.
func (c *call) listDeliveries() answer {
	size := min(max(atoi(c.query.Get("per_page"), 30), 1), 100)
	all := c.keptDeliveries()
	if text := c.query.Get("cursor"); text != "" {
		from, err := strconv.ParseInt(strings.TrimPrefix(text, "v1_"), 10, 64)
		if err != nil || !strings.HasPrefix(text, "v1_") {
			return fail(http.StatusUnprocessableEntity, "Invalid cursor parameter value %q", text)
		}
		all = slices.DeleteFunc(all, func(d *Delivery) bool { return d.ID > from })
	}
	if want := c.query.Get("status"); want != "" {
		all = slices.DeleteFunc(all, func(d *Delivery) bool { return (d.Status == "OK") != (want == "success") })
	}
	if len(all) > size {
		q := c.r.URL.Query()
		q.Set("cursor", fmt.Sprintf("v1_%d", all[size].ID))
		c.header.Set("Link", fmt.Sprintf("<%s?%s>; rel=\"next\"", c.address(), q.Encode()))
		all = all[:size]
	}
	out := []any{}
	for _, d := range all {
		o := c.renderDelivery(d)
		delete(o, "url")
		out = append(out, o)
	}
	return ok(out)
}

func (c *call) delivery() *Delivery {
	for _, d := range c.keptDeliveries() {
		if d.ID == c.id("delivery_id") {
			return d
		}
	}
	return nil
}

func (c *call) getDelivery() answer {
	d := c.delivery()
	if d == nil {
		return notFound()
	}
	flat := func(h http.Header) obj {
		o := obj{}
		for k := range h {
			o[k] = h.Get(k)
		}
		return o
	}
	o := c.renderDelivery(d)
	o["request"] = obj{"headers": flat(d.sent), "payload": json.RawMessage(d.Payload)}
	o["response"] = obj{"headers": flat(d.got), "payload": d.gotBody}
	return ok(o)
}

func (c *call) redeliver() answer {
	d := c.delivery()
	if d == nil {
		return notFound()
	}
	c.s.redeliver(c.who.app, d)
	return answer{status: http.StatusAccepted, body: obj{}}
}
