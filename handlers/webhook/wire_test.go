package webhook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/conveyor-ci/conveyor/handlers/webhook"
)

// TestABodyThatNeverArrivesIsGivenUp holds a connection open, as an attacker would hold thousands.
func TestABodyThatNeverArrivesIsGivenUp(t *testing.T) {
	t.Parallel()
	var k keeper
	h, err := webhook.HandlerReading(k.options(), 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	r := gin.New()
	r.POST("/", h)
	server := httptest.NewServer(r)
	defer server.Close()
	for signature, want := range map[string]string{sign(secret, nil): "HTTP/1.1 408", "sha1=0": "HTTP/1.1 401"} {
		wire, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer wire.Close()
		if err := wire.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(wire, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Hub-Signature-256: %s\r\nContent-Length: 100\r\n\r\n{", signature)
		answer, err := io.ReadAll(wire) // until the server hangs up
		if err != nil || !strings.HasPrefix(string(answer), want) {
			t.Fatalf("answered %q, %v; want %s", answer, err, want)
		}
	}
	if len(k.kept) != 0 {
		t.Fatal("it was written")
	}
}

// TestGitHubHangingUpLosesNothing cancels the request while the delivery is being written.
func TestGitHubHangingUpLosesNothing(t *testing.T) {
	t.Parallel()
	var k keeper
	o := k.options()
	ctx, hangUp := context.WithCancel(t.Context())
	o.Accept = func(inner context.Context, d webhook.Delivery) error {
		hangUp()
		if err := inner.Err(); err != nil {
			return err
		}
		if _, bounded := inner.Deadline(); !bounded {
			return errors.New("a write could take for ever")
		}
		return nil
	}
	if w := serve(router(t, o), post(t, "{}").WithContext(ctx)); w.Code != http.StatusAccepted {
		t.Fatalf("answered %d", w.Code)
	}
}

// TestBodiesNeverMix sends many bodies of many sizes at once. Each Accept reads its body twice, with a pause in which
// the others run.
func TestBodiesNeverMix(t *testing.T) {
	t.Parallel()
	var k keeper
	o := k.options()
	o.Metrics = nil
	var inside sync.WaitGroup
	inside.Add(16)
	var first sync.Map
	o.Accept = func(_ context.Context, d webhook.Delivery) error {
		before := bytes.Clone(d.Body)
		if _, seen := first.LoadOrStore(d.GUID, true); !seen {
			inside.Done()
			inside.Wait() // all sixteen hold a body now
		}
		if !bytes.Equal(before, d.Body) || !strings.HasPrefix(string(d.Body), `{"a":"`+d.GUID) {
			return fmt.Errorf("%s holds the body %.40s", d.GUID, d.Body)
		}
		return nil
	}
	h := router(t, o)
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			for i := range 20 {
				letter := string(rune('a' + n))
				r := post(t, `{"a":"`+strings.Repeat(letter, 10+(n*i*997)%5000)+`"}`)
				r.Header.Set("X-GitHub-Delivery", letter)
				if w := serve(h, r); w.Code != http.StatusAccepted {
					t.Errorf("answered %d", w.Code)
				}
			}
		})
	}
	all.Wait()
	if k.log.Len() != 0 {
		t.Fatal(k.log.String())
	}
}
