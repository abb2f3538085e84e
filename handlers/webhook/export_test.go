package webhook

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// HandlerReading is Handler with another limit on how long a body may take.
func HandlerReading(o Options, limit time.Duration) (gin.HandlerFunc, error) {
	h, err := newIntake(o)
	if err != nil {
		return nil, err
	}
	h.readTime = limit
	return h.serve, nil
}

// Proves checks a signature header with one secret, even one that Handler would find too short.
func Proves(secret, header string, body []byte) bool {
	sum, ok := claim(http.Header{"X-Hub-Signature-256": {header}})
	return ok && provers([]string{secret}).proves(sum, body)
}

// WellFormed is what must hold of a body.
func WellFormed(b []byte) bool { return wellFormed(b) }

// MaxDepth is how deep a body may be nested.
const MaxDepth = maxDepth
