package dashboard

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// made gives out what is kept of an artifact that the run has made and that has a provenance. It is data for programs:
// text from outside is in it.
func (p *Pages) made(c *gin.Context, read func(context.Context, pipeline.Artifact) ([]byte, error)) {
	for _, a := range opened(c).Artifacts() {
		if a.Name != c.Param("artifact") || a.Provenance == "" {
			continue
		}
		data, err := read(c.Request.Context(), a)
		if err != nil {
			p.failed(c, err)
			return
		}
		c.Header("Cache-Control", "no-store")
		c.Header("Content-Disposition", "attachment")
		c.Data(http.StatusOK, "application/json", data)
		return
	}
	p.notFound(c)
}
