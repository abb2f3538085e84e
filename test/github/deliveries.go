package github

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Delivery is one attempt to deliver a webhook.
type Delivery struct {
	ID             int64
	App            string // slug
	GUID           string
	Event, Action  string
	InstallationID int64
	RepositoryID   int64
	DeliveredAt    time.Time
	Duration       time.Duration
	Status         string // "OK", "Invalid HTTP Response: 500", "timed out", …
	StatusCode     int
	Redelivery     bool
	Payload        []byte

	sent, got http.Header
	url       string
	gotBody   string
	behind    int // so many later deliveries go first
}

// queue holds what an App is still to hear. It is guarded by Server.mu.
type queue struct {
	items   []*Delivery
	back    []*Delivery // held back until later ones went
	delayed int         // in a timer
	busy    bool
	held    bool
	closed  bool
	wake    chan struct{}
}

func (q *queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) close() {
	q.closed = true
	q.nudge()
}

func (q *queue) idle() bool { return len(q.items) == 0 && !q.busy && q.delayed == 0 }

// startQueue starts the one worker of an App.
func (s *Server) startQueue(a *App) {
	a.queue = &queue{wake: make(chan struct{}, 1), held: s.opt.HoldHooks}
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		client := &http.Client{
			Timeout:       s.opt.WebhookTimeout,
			Transport:     &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: 10 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		defer client.CloseIdleConnections()
		for {
			d, stop := s.takeDelivery(a)
			switch {
			case stop:
				return
			case d == nil:
				<-a.queue.wake
			default:
				s.send(client, a, d)
			}
		}
	}()
}

func (s *Server) takeDelivery(a *App) (d *Delivery, stop bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := a.queue
	if q.closed {
		return nil, true
	}
	if q.held || len(q.items) == 0 {
		return nil, false
	}
	d, q.items, q.busy = q.items[0], q.items[1:], true
	return d, false
}

// deliver queues one delivery, unless a fault decides otherwise.
func (s *Server) deliver(a *App, i *Installation, r *Repo, name, action, guid string, payload obj) {
	if !a.HookActive || a.HookURL == "" {
		return
	}
	d := &Delivery{ID: s.next(), App: a.Slug, GUID: guid, Event: name, Action: action, Payload: encode(payload)}
	if len(d.Payload) > 25<<20 {
		return // bigger ones are simply not sent
	}
	if i != nil {
		d.InstallationID = i.ID
	}
	if r != nil {
		d.RepositoryID = r.ID
	}
	s.enqueue(a, d, s.hookFault(a, d))
}

func (s *Server) enqueue(a *App, d *Delivery, f *HookFault) {
	q := a.queue
	if f == nil {
		f = &HookFault{}
	}
	copies := 1 + f.Duplicates
	switch {
	case f.Lose:
		copies = 0
	case f.Drop:
		d.DeliveredAt, d.Status, d.StatusCode = s.now(), "failed to connect to host", http.StatusBadGateway
		d.url = a.HookURL
		s.logDelivery(a, d)
		copies = 0
	case f.Behind > 0:
		d.behind = f.Behind
		q.back = append(q.back, d)
		return
	}
	for n := range copies {
		item := d
		if n > 0 {
			again := *d
			again.ID = s.next()
			item = &again
		}
		if f.Delay > 0 {
			s.later(q, item, f.Delay)
			continue
		}
		q.items = append(q.items, item)
	}
	// Those held back count the ones that overtake them.
	for _, held := range slices.Clone(q.back) {
		if held.behind--; held.behind <= 0 {
			q.items = append(q.items, held)
			q.back = slices.DeleteFunc(q.back, func(o *Delivery) bool { return o == held })
		}
	}
	q.nudge()
	s.changed.Broadcast()
}

// later queues after a time, in its own goroutine so that Close can end it.
func (s *Server) later(q *queue, d *Delivery, after time.Duration) {
	q.delayed++
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		timer := time.NewTimer(after)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.ctx.Done():
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		q.delayed--
		q.items = append(q.items, d)
		q.nudge()
		s.changed.Broadcast()
	}()
}

// Sign is the value of X-Hub-Signature-256 (with sha256.New) or of
// X-Hub-Signature (with sha1.New) for a body, without the prefix.
func Sign(secret string, body []byte, with func() hash.Hash) string {
	mac := hmac.New(with, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// send makes the attempt and logs what came of it. It is never made again by
// itself: GitHub does not retry.
func (s *Server) send(client *http.Client, a *App, d *Delivery) {
	s.mu.Lock()
	secret, to, now := a.WebhookSecret, a.HookURL, s.now()
	s.mu.Unlock()
	began := time.Now()
	d.DeliveredAt, d.url = now, to
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, to, bytes.NewReader(d.Payload))
	if err == nil {
		h := req.Header
		h.Set("Content-Type", "application/json")
		h.Set("User-Agent", "GitHub-Hookshot/044aadd")
		h.Set("Accept", "*/*")
		h.Set("X-GitHub-Event", d.Event)
		h.Set("X-GitHub-Delivery", d.GUID)
		h.Set("X-GitHub-Hook-ID", strconv.FormatInt(a.hookID, 10))
		h.Set("X-GitHub-Hook-Installation-Target-ID", strconv.FormatInt(a.ID, 10))
		h.Set("X-GitHub-Hook-Installation-Target-Type", "integration")
		h.Set("X-GitHub-Enterprise-Host", strings.TrimPrefix(s.base, "http://"))
		h.Set("X-GitHub-Enterprise-Version", "3.18.0")
		h.Set("X-Hub-Signature-256", "sha256="+Sign(secret, d.Payload, sha256.New))
		h.Set("X-Hub-Signature", "sha1="+Sign(secret, d.Payload, sha1.New))
		d.sent = h.Clone()
		err = s.exchange(client, req, d)
	}
	if err != nil {
		var netErr net.Error
		d.Status, d.StatusCode = "failed to connect to host", http.StatusBadGateway
		if errors.As(err, &netErr) && netErr.Timeout() {
			d.Status, d.StatusCode = "timed out", http.StatusGatewayTimeout
		}
	}
	d.Duration = time.Since(began)
	s.opt.Log.Debug("webhook delivered", "event", d.Event, "action", d.Action, "delivery", d.GUID, "status", d.Status)
	s.mu.Lock()
	defer s.mu.Unlock()
	a.queue.busy = false
	s.logDelivery(a, d)
}

func (s *Server) exchange(client *http.Client, req *http.Request, d *Delivery) error {
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return err
	}
	d.got, d.gotBody, d.StatusCode, d.Status = res.Header, string(body), res.StatusCode, "OK"
	if res.StatusCode < 200 || res.StatusCode > 299 {
		d.Status = fmt.Sprintf("Invalid HTTP Response: %d", res.StatusCode)
	}
	return nil
}

func (s *Server) logDelivery(a *App, d *Delivery) {
	a.deliveries = append(a.deliveries, d)
	s.log = append(s.log, d)
	s.changed.Broadcast()
}

// Quiet waits until every App has heard all it is to hear. Deliveries that a
// fault holds back behind later ones go out when nothing else is left.
func (s *Server) Quiet(ctx context.Context) error {
	return s.Wait(ctx, func(*View) bool {
		quiet := true
		for _, a := range s.apps {
			q := a.queue
			if q.idle() && len(q.back) > 0 {
				q.items, q.back = append(q.items, q.back...), nil
				q.nudge()
			}
			quiet = quiet && q.idle()
		}
		return quiet
	})
}

// Deliveries are all attempts so far, of all Apps, in order of time.
func (s *Server) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return (&View{s}).Deliveries()
}

// HoldHooks keeps back an App's webhooks from now on.
func (s *Server) HoldHooks(slug string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.app(slug); a != nil {
		a.queue.held = true
	}
}

// ReleaseHooks lets them go, in another order if shuffle is true.
func (s *Server) ReleaseHooks(slug string, shuffle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.app(slug); a != nil {
		q := a.queue
		if shuffle {
			s.random.Shuffle(len(q.items), func(i, j int) { q.items[i], q.items[j] = q.items[j], q.items[i] })
		}
		q.held = false
		q.nudge()
	}
}

// Redeliver sends an attempt again, as the button in the App's settings does.
func (s *Server) Redeliver(id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.apps {
		for _, d := range a.deliveries {
			if d.ID == id {
				s.redeliver(a, d)
				return nil
			}
		}
	}
	return fmt.Errorf("github: there is no delivery %d", id)
}

// redeliver keeps the GUID and the payload; the id is new.
func (s *Server) redeliver(a *App, d *Delivery) {
	again := &Delivery{ID: s.next(), App: d.App, GUID: d.GUID, Event: d.Event, Action: d.Action, InstallationID: d.InstallationID,
		RepositoryID: d.RepositoryID, Redelivery: true, Payload: d.Payload}
	s.enqueue(a, again, nil)
}
