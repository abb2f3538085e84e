package dashboard

import (
	"bytes"
	"time"

	"github.com/gin-gonic/gin"
)

// state streams the changing part of a run's page: once at the start, then after each change. Its first event is the
// server's time, so that browsers whose clock is wrong still count durations right.
func (p *Pages) state(c *gin.Context) {
	run := opened(c)
	out := p.begin(c, nil)
	defer out.end()
	runs := p.o.Changed(out.ctx, string(run.Run))
	repo := p.o.Changed(out.ctx, "repo/"+number(run.Trigger.Repo.ID))
	if !out.send(event("now", "", []byte(number(time.Now().UnixMilli())))) {
		return
	}
	var last []byte
	for {
		s, err := p.o.Run(out.ctx, run.Run)
		if err != nil {
			return // the browser comes back by itself
		}
		view, err := p.view(out.ctx, s)
		if err != nil {
			return
		}
		var live bytes.Buffer
		if err := p.assets.pages.ExecuteTemplate(&live, "live", view); err != nil {
			p.o.Log.Error("a page could not be made", "page", "live", "err", err)
			return
		}
		if !bytes.Equal(live.Bytes(), last) {
			last = live.Bytes()
			if !out.send(event("state", "", last)) {
				return
			}
		}
		select {
		case <-out.ctx.Done():
			return
		case <-runs:
		case <-repo:
		}
	}
}
