package setup

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// progressView is how far the App is.
type progressView struct {
	page
	Slug, URL, Install string
	Starting           bool
	Problem            string
	Findings           []Finding
	Failed, Open       int // findings that failed, and that are not known or want to be looked at
}

// Well reports whether nothing is left to do.
func (v progressView) Well() bool {
	return !v.Starting && v.Problem == "" && v.Failed == 0 && v.Open == 0
}

// fresh is how long a list counts: a page that reloads in two tabs costs no more than in one.
const fresh = 2 * time.Second

// proofTime is how long the list may take.
const proofTime = 25 * time.Second

// progress shows the list, and comes again by itself until all is well.
func (p *Pages) progress(c *gin.Context, made Made) {
	v := progressView{page: p.page("Conveyor is registered"), Slug: made.Slug, URL: made.URL, Install: made.URL + "/installations/new"}
	p.mu.Lock()
	v.Problem, v.Starting = p.problem, p.prove == nil && p.problem == ""
	prove, since := p.prove, p.o.Now().Sub(p.madeAt)
	p.mu.Unlock()
	if prove != nil {
		v.Findings = p.proof(c.Request.Context(), prove)
	}
	for _, f := range v.Findings {
		switch f.Level {
		case "failed":
			v.Failed++
		case "unknown", "warning":
			v.Open++
		}
	}
	switch {
	case v.Starting:
		v.Again = 1
	case v.Problem != "" || v.Well():
	case since < soon:
		v.Again = 4
	default:
		v.Again = 20
	}
	p.render(c, http.StatusOK, "progress", v)
}

// proof asks again when the last list is not fresh any more. Those who come at the same time share one.
func (p *Pages) proof(ctx context.Context, prove func(context.Context) []Finding) []Finding {
	p.proving.Lock()
	defer p.proving.Unlock()
	if p.findings == nil || p.o.Now().Sub(p.looked) > fresh {
		ctx, cancel := context.WithTimeout(ctx, proofTime)
		defer cancel()
		p.findings = prove(ctx)
		p.looked = p.o.Now()
	}
	return p.findings
}
