package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load sends one prepared request again and again. Only the GUID changes, which the signature does not cover.
type load struct {
	request []byte
	guid    int           // where it stands in the request
	sent    *atomic.Int64 // numbers the GUIDs, over all bursts
}

// guidForm is a GUID whose last twelve digits are counted.
const guidForm = "5f3a9c10-7e42-4b6d-9a58-000000000000"

// post prepares a request of GitHub's hook.
func post(host, signature string, app int64, body []byte) load {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST /webhooks/github HTTP/1.1\r\nHost: %s\r\nUser-Agent: GitHub-Hookshot/044aadd\r\nContent-Length: %d\r\n", host, len(body))
	b.WriteString("Accept: */*\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: ")
	at := b.Len()
	fmt.Fprintf(&b, "%s\r\nX-GitHub-Hook-ID: 4711\r\nX-GitHub-Hook-Installation-Target-ID: %d\r\nX-GitHub-Hook-Installation-Target-Type: integration\r\n", guidForm, app)
	fmt.Fprintf(&b, "X-Hub-Signature-256: sha256=%s\r\n\r\n", signature)
	b.Write(body)
	return load{request: b.Bytes(), guid: at, sent: new(atomic.Int64)}
}

// burst is what came of a while of load.
type burst struct {
	rate         float64 // answers per second
	p50, p99     float64 // milliseconds
	answers      int
	refused      int // answers other than 2xx
	firstRefusal string
}

// fire keeps so many connections busy for a while; each has one request on its way at any time.
func (l load) fire(ctx context.Context, address string, connections int, long time.Duration) (burst, error) {
	var all sync.WaitGroup
	came := make([]burst, connections)
	took := make([][]float64, connections)
	failed := make([]error, connections)
	clients := make([]net.Conn, connections)
	defer func() {
		for _, c := range clients {
			if c != nil {
				_ = c.Close() // nothing waits to be sent
			}
		}
	}()
	for i := range clients {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return burst{}, err
		}
		clients[i] = c
		took[i] = make([]float64, 0, 1<<15/connections*2)
	}
	began := time.Now()
	until := began.Add(long)
	for i, c := range clients {
		all.Go(func() { came[i], took[i], failed[i] = l.keepBusy(c, took[i], until) })
	}
	all.Wait()
	elapsed := time.Since(began).Seconds()
	if err := errors.Join(failed...); err != nil {
		return burst{}, err
	}
	var sum burst
	var latencies []float64
	for i := range came {
		sum.answers += came[i].answers
		sum.refused += came[i].refused
		if sum.firstRefusal == "" {
			sum.firstRefusal = came[i].firstRefusal
		}
		latencies = append(latencies, took[i]...)
	}
	sum.rate = float64(sum.answers) / elapsed
	sum.p50, sum.p99 = quantile(latencies, 0.5), quantile(latencies, 0.99)
	return sum, nil
}

func (l load) keepBusy(c net.Conn, took []float64, until time.Time) (b burst, _ []float64, err error) {
	if err := c.SetDeadline(until.Add(30 * time.Second)); err != nil {
		return b, took, err
	}
	request, answer := bytes.Clone(l.request), make([]byte, 8<<10)
	end := l.guid + len(guidForm)
	for time.Now().Before(until) {
		copy(request[end-12:end], fmt.Sprintf("%012x", l.sent.Add(1)))
		began := time.Now()
		if _, err := c.Write(request); err != nil {
			return b, took, fmt.Errorf("send a request: %w", err)
		}
		status, said, err := readAnswer(c, answer)
		if err != nil {
			return b, took, fmt.Errorf("read an answer: %w", err)
		}
		took = append(took, milliseconds(time.Since(began)))
		b.answers++
		if status < 200 || status > 299 {
			if b.refused++; b.firstRefusal == "" {
				b.firstRefusal = fmt.Sprintf("%d %s", status, said)
			}
		}
	}
	return b, took, nil
}

var (
	blankLine = []byte("\r\n\r\n")
	lengthIs  = []byte("\r\nContent-Length: ")
)

// readAnswer reads one small answer with a length, which is all that both servers give.
func readAnswer(r io.Reader, buf []byte) (status int, body []byte, err error) {
	for have := 0; ; {
		n, err := r.Read(buf[have:])
		if have += n; err != nil {
			return 0, nil, err
		}
		head := bytes.Index(buf[:have], blankLine)
		switch {
		case head < 0 && have == len(buf):
			return 0, nil, errors.New("the answer is too large")
		case head < 0:
			continue
		}
		at := bytes.Index(buf[:head+2], lengthIs)
		if at < 0 || head < len("HTTP/1.1 200") {
			return 0, nil, fmt.Errorf("an answer without a length: %q", buf[:have])
		}
		digits, _, _ := bytes.Cut(buf[at+len(lengthIs):have], blankLine[:2])
		length, err := strconv.Atoi(string(digits))
		if err != nil || head+len(blankLine)+length > len(buf) {
			return 0, nil, fmt.Errorf("an answer of an odd length %q", digits)
		}
		if have < head+len(blankLine)+length {
			continue
		}
		status, err = strconv.Atoi(string(buf[9:12]))
		return status, buf[head+len(blankLine) : have], err
	}
}
