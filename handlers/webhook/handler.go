// Package webhook hears GitHub: it proves that a request is GitHub's, makes it durable, answers, and later translates it
// into what the house works with.
//
// It never calls GitHub, and never works inside of a request. Until the signature is proven, nothing of a request is
// parsed, logged or kept. Start reading at Handler, then Translate and ParseComment, which are pure.
package webhook

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// MaxBody is how large a delivery may be, in bytes: GitHub sends none that is larger.
// https://docs.github.com/webhooks/webhook-events-and-payloads#payload-cap
const MaxBody = 25 << 20

// How long a body may take to arrive, and Accept to write it. GitHub hangs up after ten seconds.
const (
	readTime   = 10 * time.Second
	acceptTime = 8 * time.Second
)

// ErrSeen is what Accept answers for a delivery that is durable already.
var ErrSeen = errors.New("webhook: this delivery has been taken already")

// Options of the handler.
type Options struct {
	Secrets []string // one or, while it is changed, two; each of 16 bytes or more

	// Accept returns when the delivery is durable, or ErrSeen when it was already. The body is lent to it: it is
	// overwritten after Accept has returned. It may be called concurrently.
	Accept func(context.Context, Delivery) error

	Log     *slog.Logger
	MaxBody int64            // in bytes; the constant MaxBody when 0
	Metrics func(code int)   // told of each answer; may be nil
	Now     func() time.Time // the system's clock when nil
}

// Handler answers POSTs of GitHub's webhooks. 202 means: it is durable and will be worked on. 503 means: it is not, and
// must be delivered again. All other answers are refusals, and nothing was written.
func Handler(o Options) (gin.HandlerFunc, error) {
	h, err := newIntake(o)
	if err != nil {
		return nil, err
	}
	return h.serve, nil
}

func newIntake(o Options) (*intake, error) {
	p, err := newProver(o.Secrets)
	if err != nil {
		return nil, err
	}
	o.Secrets = nil
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Metrics == nil {
		o.Metrics = func(int) {}
	}
	if o.MaxBody <= 0 {
		o.MaxBody = MaxBody
	}
	return &intake{Options: o, prover: p, readTime: readTime, bodies: sync.Pool{New: func() any { return new(bytes.Buffer) }}}, nil
}

type intake struct {
	Options
	*prover
	readTime time.Duration
	bodies   sync.Pool
}

// answer is what GitHub is told, and shows to those who look at the hook's deliveries.
type answer struct {
	code int
	say  string
}

func refuse(code int, say string) *answer { return &answer{code, say} }

var (
	taken    = &answer{http.StatusAccepted, "Taken."}
	known    = &answer{http.StatusAccepted, "This delivery is known."}
	notKept  = &answer{http.StatusServiceUnavailable, "The delivery could not be stored. Redeliver it later."}
	notOurs  = &answer{http.StatusUnauthorized, "The signature is missing or wrong. Compare the hook's secret with the server's."}
	tooLarge = &answer{http.StatusRequestEntityTooLarge, "The payload is larger than GitHub's own limit."}
	tooSlow  = &answer{http.StatusRequestTimeout, "The body took too long to arrive."}
	notWhole = &answer{http.StatusBadRequest, "The body could not be read."}
	notJSON  = &answer{http.StatusBadRequest, "The body is not a JSON object."}
	odd      = &answer{http.StatusUnsupportedMediaType, "The hook's content type must be application/json."}
)

func (h *intake) serve(c *gin.Context) {
	a := h.take(c)
	switch a.code {
	case http.StatusServiceUnavailable:
		c.Header("Retry-After", "30")
	case http.StatusRequestEntityTooLarge, http.StatusRequestTimeout:
		c.Header("Connection", "close") // the rest of the body is not worth reading
	}
	h.Metrics(a.code)
	c.Data(a.code, "text/plain; charset=utf-8", []byte(a.say))
}

// take decides the answer. The order matters: size, signature, form, and only then the durable write. What has not
// proven to be GitHub's leaves no line in the log, either: anyone could fill it.
func (h *intake) take(c *gin.Context) *answer {
	r := c.Request
	// It stays in force when a body is refused, so that what is left of that cannot hold the connection, either.
	wire := http.NewResponseController(c.Writer)
	timed := wire.SetReadDeadline(time.Now().Add(h.readTime)) == nil // a recorder in a test has none
	if !isJSON(r.Header) {
		return odd
	}
	if r.ContentLength > h.MaxBody {
		return tooLarge
	}
	claimed, ok := claim(r.Header)
	if !ok {
		return notOurs // whatever the body says
	}
	body := h.bodies.Get().(*bytes.Buffer)
	body.Reset()
	a := h.read(c, body)
	if a == nil {
		if timed {
			_ = wire.SetReadDeadline(time.Time{}) // fails only with the connection
		}
		a = h.decide(r, claimed, body.Bytes())
	}
	if body.Cap() <= 1<<20 { // a few huge ones must not stay in memory
		h.bodies.Put(body)
	}
	return a
}

// isJSON reports whether the hook is set up as ours must be. A form would have to be parsed before its proof.
func isJSON(h http.Header) bool {
	if len(h["Content-Encoding"]) > 0 {
		return false
	}
	kind := only(h, "Content-Type")
	if kind == "application/json" {
		return true
	}
	kind, _, err := mime.ParseMediaType(kind)
	return err == nil && kind == "application/json"
}

// read fills body, which grows with what arrives and not with what is announced.
func (h *intake) read(c *gin.Context, body *bytes.Buffer) *answer {
	if n := c.Request.ContentLength; n > 0 {
		body.Grow(int(min(n, 64<<10)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(http.MaxBytesReader(c.Writer, c.Request.Body, h.MaxBody))
	var big *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &big):
		return tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return tooSlow
	}
	return notWhole
}

// decide takes a whole body.
func (h *intake) decide(r *http.Request, claimed [32]byte, body []byte) *answer {
	if !h.proves(claimed, body) {
		return notOurs
	}
	d, problem := delivery(r.Header)
	if problem != "" {
		h.Log.Warn("a signed delivery was refused", "why", problem)
		return refuse(http.StatusBadRequest, problem)
	}
	if !wellFormed(body) {
		h.Log.Warn("a signed delivery was refused", "delivery", d.GUID, "event", d.Event, "why", notJSON.say)
		return notJSON
	}
	d.Body, d.ReceivedAt = body, h.Now().UTC()
	// GitHub hanging up is no reason to lose what has arrived.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), acceptTime)
	defer cancel()
	switch err := h.Accept(ctx, d); {
	case err == nil:
		return taken
	case errors.Is(err, ErrSeen):
		return known
	default:
		h.Log.Error("a delivery could not be made durable", "delivery", d.GUID, "event", d.Event, "err", err)
		return notKept
	}
}
