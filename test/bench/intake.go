package main

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/conveyor-ci/conveyor/test/github"
)

// bodySize is that of an ordinary push with a score of commits, in bytes.
const bodySize = 21_131

// measureIntake asks what it costs that a delivery is durable before it is answered: signed pushes against a server that
// checks the same signature, and keeps nothing. The pushes are of a tag, so that the decision alone follows from each;
// it is made while further ones arrive.
func measureIntake(ctx context.Context, s *session) (_ []row, err error) {
	h, err := build(s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	body, err := h.tagPush(ctx)
	if err != nil {
		return nil, err
	}
	reference, address, err := startReference(s, h.app.WebhookSecret)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, reference.stop()) }()
	if err := h.open(ctx); err != nil {
		return nil, err
	}
	l := post(h.address, github.Sign(h.app.WebhookSecret, body, sha256.New), h.app.ID, body)
	long := pick(s, 900*time.Millisecond, 300*time.Millisecond)
	before := h.requests.Load()

	widths := []int{1, 16, 64}
	var ours, bare [3][]burst
	var sides []func(context.Context) error
	for i, width := range widths {
		sides = append(sides, func(ctx context.Context) error {
			b, err := l.fire(ctx, address, width, long)
			bare[i] = append(bare[i], b)
			return err
		}, func(ctx context.Context) error {
			b, err := l.fire(ctx, h.address, width, long)
			if err != nil {
				return h.blame(err)
			}
			ours[i] = append(ours[i], b)
			return h.rest(ctx, 2*time.Minute) // its decisions are part of this burst, not of the next
		})
	}
	// The first touch of both is not counted: files grow, and connections are made.
	for _, to := range []string{address, h.address} {
		if _, err := l.fire(ctx, to, 16, long/3); err != nil {
			return nil, h.blame(err)
		}
	}
	if err := errors.Join(h.rest(ctx, time.Minute), s.play(ctx, 80*time.Second, s.rounds, sides...)); err != nil {
		return nil, err
	}
	const name = "bare gin handler: HMAC, then 202"
	var rows []row
	for i, width := range widths {
		r := higher(fmt.Sprintf("durable intake of 21 KB, %s", connections(width)), "requests/s", of(ours[i], burst.rated), of(bare[i], burst.rated), name)
		if width == 64 {
			r = r.aim(0.25)
		}
		rows = append(rows, r)
	}
	for i, width := range widths {
		r := lower(fmt.Sprintf("answer to a delivery, p99, %s", connections(width)), "ms", of(ours[i], burst.slowest), of(bare[i], burst.slowest), name)
		if width == 64 {
			r = r.aim(3)
		}
		rows = append(rows, r)
	}
	refused, bareRefused, said := 0, 0, ""
	for i := range widths {
		for _, b := range ours[i] {
			refused += b.refused
			if said == "" {
				said = b.firstRefusal
			}
		}
		for _, b := range bare[i] {
			bareRefused += b.refused
		}
	}
	if said != "" {
		s.say("the first answer that was no 2xx: %s", said)
	}
	return append(rows,
		lower("answers other than 2xx", "answers", float64(refused), float64(bareRefused), name).aim(0),
		lower("requests to GitHub before the answer", "requests", float64(h.requests.Load()-before), 0, "none").aim(0),
	), nil
}

func (b burst) rated() float64   { return b.rate }
func (b burst) slowest() float64 { return b.p99 }

func of(bursts []burst, what func(burst) float64) float64 {
	var values []float64
	for _, b := range bursts {
		values = append(values, what(b))
	}
	return median(values)
}

func connections(n int) string {
	if n == 1 {
		return "1 connection"
	}
	return fmt.Sprintf("%d connections", n)
}

// tagPush has the local GitHub write a push of a tag, and makes it as large as an ordinary one by telling more commits.
func (h *house) tagPush(ctx context.Context) ([]byte, error) {
	h.github.HoldHooks(h.app.Slug)
	sha, err := h.push("main", plan(1), "first")
	if err != nil {
		return nil, err
	}
	if err := h.github.Tag(slug, "v1.0.0", "author", sha); err != nil {
		return nil, err
	}
	h.github.ReleaseHooks(h.app.Slug, false) // nobody listens yet: they fail, and are not sent again
	if err := h.github.Quiet(ctx); err != nil {
		return nil, err
	}
	var push map[string]any
	for _, d := range h.github.Deliveries() {
		if d.Event == "push" && strings.Contains(string(d.Payload), `"refs/tags/v1.0.0"`) {
			if err := json.Unmarshal(d.Payload, &push); err != nil {
				return nil, err
			}
		}
	}
	head, ok := push["head_commit"].(map[string]any)
	if !ok {
		return nil, errors.New("the local GitHub told of no push of a tag")
	}
	var commits []any
	for n := 0; ; n++ {
		commit := map[string]any{}
		for key, value := range head {
			commit[key] = value
		}
		commit["message"] = fmt.Sprintf("Change %d\n\nWhy it was needed, in a sentence or two.", n)
		push["commits"] = append(commits, commit)
		body, err := json.Marshal(push)
		if err != nil {
			return nil, err
		}
		if missing := bodySize - len(body); missing < 0 {
			return nil, fmt.Errorf("the push cannot be made %d bytes long", bodySize)
		} else if missing < len(body)/(n+2) {
			commit["message"] = commit["message"].(string) + strings.Repeat(".", missing)
			body, err = json.Marshal(push)
			return body, err
		}
		commits = append(commits, commit)
	}
}

// startReference starts the server that we are measured against, and returns where it listens.
func startReference(s *session, secret string) (*process, string, error) {
	out, in := io.Pipe()
	p, err := start(append(os.Environ(), "REFERENCE_SECRET="+secret), in, s.self, "as-reference")
	if err != nil {
		return nil, "", err
	}
	go func() {
		<-p.ended
		_ = in.CloseWithError(errors.New("it ended")) // never fails
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("start the reference server: %w: %s", err, p.last), p.stop())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // until the child ends
	return p, strings.TrimSpace(line), nil
}

// serveReference checks the signature and answers. It is what anyone would write with gin first.
func serveReference([]string) error {
	secret := []byte(os.Getenv("REFERENCE_SECRET"))
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.POST("/webhooks/github", func(c *gin.Context) {
		body, err := c.GetRawData()
		if err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		claimed, err := hex.DecodeString(strings.TrimPrefix(c.GetHeader("X-Hub-Signature-256"), "sha256="))
		if err != nil || !hmac.Equal(mac.Sum(nil), claimed) {
			c.String(http.StatusUnauthorized, "no")
			return
		}
		c.String(http.StatusAccepted, "Taken.")
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return http.Serve(l, r)
}
