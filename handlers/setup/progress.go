package setup

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// progressView is how far the App is.
type progressView struct {
	page
	Slug, URL, Install string
	Starting           bool
	Problem            string
	Installed          bool
	Findings           []Finding
	Failed, Open, Look int // findings that failed, that are not known, that want to be looked at
}

// Ready reports whether nothing stands in the way: a warning does not.
func (v progressView) Ready() bool {
	return v.Installed && !v.Starting && v.Problem == "" && v.Failed == 0 && v.Open == 0
}

// Sum is the list in words.
func (v progressView) Sum() string {
	var parts []string
	for _, n := range []struct {
		count int
		word  string
	}{{v.Failed, "failed"}, {v.Open, "not known yet"}, {v.Look, "to look at"}} {
		if n.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.count, n.word))
		}
	}
	if parts == nil {
		return "All is well"
	}
	return strings.Join(parts, ", ")
}

// fresh is how long a list counts: a page that reloads in two tabs costs no more than in one.
const fresh = 2 * time.Second

// proofTime is how long the list may take.
const proofTime = 25 * time.Second

// order puts first what something has to be done about.
var order = []string{"failed", "unknown", "warning", "ok"}

// progress shows the list, and comes again by itself until all is well.
func (p *Pages) progress(c *gin.Context, made Made) {
	v := progressView{page: p.page("Conveyor is registered"), Slug: made.Slug, URL: made.URL, Install: made.URL + "/installations/new"}
	p.mu.Lock()
	v.Problem, v.Starting = p.problem, p.prove == nil && p.problem == ""
	prove, since := p.prove, p.o.Now().Sub(p.madeAt)
	p.mu.Unlock()
	if prove != nil {
		proof := p.proof(c.Request.Context(), prove)
		v.Installed, v.Findings = proof.Installed, slices.Clone(proof.Findings)
	}
	for _, f := range v.Findings {
		switch f.Level {
		case "failed":
			v.Failed++
		case "warning":
			v.Look++
		case "unknown":
			v.Open++
		}
	}
	slices.SortStableFunc(v.Findings, func(x, y Finding) int { return slices.Index(order, x.Level) - slices.Index(order, y.Level) })
	switch {
	case v.Starting:
		v.Again = 1
	case v.Problem != "" || v.Ready() && v.Look == 0:
	case since < soon:
		v.Again = 4
	default:
		v.Again = 20
	}
	p.render(c, http.StatusOK, "progress", v)
}

// proof asks again when the last list is not fresh any more. Those who come at the same time share one.
func (p *Pages) proof(ctx context.Context, prove func(context.Context) Proof) Proof {
	p.proving.Lock()
	defer p.proving.Unlock()
	if p.last == nil || p.o.Now().Sub(p.looked) > fresh {
		ctx, cancel := context.WithTimeout(ctx, proofTime)
		defer cancel()
		proof := prove(ctx)
		p.last, p.looked = &proof, p.o.Now()
	}
	return *p.last
}
