package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/conveyor-ci/conveyor/handlers/webhook"
)

// bare is the least that a gin handler must do to prove a delivery: read it, and compare the signature.
func bare(c *gin.Context) {
	body, err := c.GetRawData()
	if err != nil {
		c.Status(http.StatusBadRequest)
		return
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	if !hmac.Equal([]byte("sha256="+hexOf(mac.Sum(nil))), []byte(c.GetHeader("X-Hub-Signature-256"))) {
		c.Status(http.StatusUnauthorized)
		return
	}
	c.Status(http.StatusAccepted)
}

// BenchmarkIntake compares the handler, with an Accept that does nothing, with a bare one, on the same real push.
func BenchmarkIntake(b *testing.B) {
	body := example(b, "webhook-examples-synthetic/push/ordinary-3-commits.json")
	whole, err := webhook.Handler(webhook.Options{
		Secrets: []string{secret}, Log: slog.New(slog.DiscardHandler),
		Accept: func(context.Context, webhook.Delivery) error { return nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	for _, c := range []struct {
		name string
		h    gin.HandlerFunc
	}{{"bare", bare}, {"whole", whole}} {
		r := gin.New()
		r.POST("/", c.h)
		b.Run(c.name+"/called", func(b *testing.B) {
			req := post(b, string(body))
			req.URL.Path = "/"
			w := &deaf{h: http.Header{}}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				req.Body = io.NopCloser(bytes.NewReader(body))
				r.ServeHTTP(w, req)
				if w.code != http.StatusAccepted {
					b.Fatal(w.code)
				}
			}
		})
		b.Run(c.name+"/served", func(b *testing.B) {
			server := httptest.NewServer(r)
			defer server.Close()
			client := server.Client()
			header := post(b, string(body)).Header
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL, bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				req.Header = header
				res, err := client.Do(req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode != http.StatusAccepted {
					b.Fatal(res.Status)
				}
			}
		})
	}
}

// deaf is the cheapest response there is, so that the handlers are compared and not the recorder.
type deaf struct {
	h    http.Header
	code int
}

func (d *deaf) Header() http.Header         { return d.h }
func (d *deaf) WriteHeader(code int)        { d.code = code }
func (d *deaf) Write(b []byte) (int, error) { return len(b), nil }

func BenchmarkWellFormed(b *testing.B) {
	body := example(b, "webhook-examples-synthetic/push/ordinary-3-commits.json")
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if !webhook.WellFormed(body) {
			b.Fatal("it is JSON")
		}
	}
}
