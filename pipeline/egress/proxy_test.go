package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// names is a resolver of our own.
type names map[string]string

func (n names) lookup(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	var all []netip.Addr
	for _, text := range strings.Fields(n[host]) {
		all = append(all, netip.MustParseAddr(text))
	}
	if len(all) == 0 {
		return nil, errors.New("no such host")
	}
	return all, nil
}

// serve starts a proxy, and returns a client that uses it.
func serve(t *testing.T, p *Proxy) (*http.Client, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- p.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	address := l.Addr().String()
	transport := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: address}),
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the server under the allowed name is httptest's
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}, address
}

func get(t *testing.T, c *http.Client, method, address string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// onLoopback opens the loopback, where the servers of these tests are.
func onLoopback(rules ...string) Policy {
	p := Policy{Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	for _, text := range rules {
		r, err := ParseRule(text)
		if err != nil {
			panic(err)
		}
		p.Rules = append(p.Rules, r)
	}
	return p
}

func TestOnlyWhatIsOnTheListIsReached(t *testing.T) {
	t.Parallel()
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, r.Method, " ", r.Host) })
	plain, secure := httptest.NewServer(hello), httptest.NewTLSServer(hello)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	http1, https1 := port(t, plain.URL), port(t, secure.URL)
	p := New(onLoopback("good.example:"+http1, "good.example:"+https1, "*.below.example:"+http1, "GET,HEAD read.example:"+http1, "GET,HEAD read.example:"+https1))
	p.lookup = names{
		"good.example": "127.0.0.1", "read.example": "127.0.0.1", "a.below.example": "127.0.0.1", "below.example": "127.0.0.1",
		"bad.example": "127.0.0.1", "good.example.evil.example": "127.0.0.1",
	}.lookup
	c, _ := serve(t, p)
	for _, tc := range []struct {
		method, address string
		reached         bool
	}{
		{"GET", "http://good.example:" + http1, true},
		{"POST", "http://good.example:" + http1, true},
		{"GET", "http://GOOD.example.:" + http1, true},
		{"GET", "https://good.example:" + https1, true},
		{"GET", "http://a.below.example:" + http1, true},
		{"GET", "http://read.example:" + http1, true},
		{"POST", "http://read.example:" + http1, false},
		{"GET", "https://read.example:" + https1, false}, // no method is seen in a tunnel
		{"GET", "http://below.example:" + http1, false},
		{"GET", "http://bad.example:" + http1, false},
		{"GET", "https://bad.example:" + https1, false},
		{"GET", "http://good.example.evil.example:" + http1, false},
		{"GET", "http://good.example:9", false},
		{"GET", "http://127.0.0.1:" + http1, false},
	} {
		status, body := get(t, c, tc.method, tc.address)
		if reached := status == 200 && strings.HasPrefix(body, tc.method); reached != tc.reached {
			t.Errorf("%s %s: %d %q", tc.method, tc.address, status, body)
		}
		if !tc.reached && !strings.Contains(body, "not on the list") && !strings.Contains(body, "Forbidden") {
			t.Errorf("%s %s is refused without a reason: %q", tc.method, tc.address, body)
		}
	}
	report := p.Report()
	for _, want := range []string{`network: "bad.example:` + http1 + `" was refused`, "CONVEYOR_EGRESS_ALLOW", `network: "good.example:` + https1 + `": `, "received"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report does not tell of %q:\n%s", want, report)
		}
	}
}

func TestANameThatLeadsInsideIsRefused(t *testing.T) {
	t.Parallel()
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was reached") }))
	t.Cleanup(inside.Close)
	to := port(t, inside.URL)
	p := New(Policy{Full: true})
	p.lookup = names{
		"metadata.example": "169.254.169.254", "loop.example": "127.0.0.1", "six.example": "::1", "mapped.example": "::ffff:127.0.0.1",
		"lan.example": "10.1.2.3", "nat.example": "64:ff9b::7f00:1", "mixed.example": "192.168.1.1 fe80::1 169.254.169.254",
	}.lookup
	c, _ := serve(t, p)
	for _, host := range []string{
		"metadata.example", "loop.example", "six.example", "mapped.example", "lan.example", "nat.example", "mixed.example",
		"127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "localhost", "0",
	} {
		for _, scheme := range []string{"http", "https"} {
			if status, body := get(t, c, "GET", scheme+"://"+host+":"+to); status == 200 || (scheme == "http" && status != 502) {
				t.Errorf("%s over %s: %d %q", host, scheme, status, body)
			}
		}
	}
	if report := p.Report(); !strings.Contains(report, `"metadata.example:`+to+`" was refused: it leads to an address that is not public`) {
		t.Errorf("the report:\n%s", report)
	}
}

func TestMetadataIsNeverOpened(t *testing.T) {
	t.Parallel()
	everything := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	for _, text := range []string{"169.254.169.254", "fd00:ec2::254", "168.63.129.16", "100.100.100.200", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "224.0.0.1", "::"} {
		if mayReach(netip.MustParseAddr(text), everything) {
			t.Errorf("%s may be reached", text)
		}
	}
	for _, text := range []string{"10.0.0.1", "192.168.1.1", "127.0.0.1", "fd12::1"} {
		if !mayReach(netip.MustParseAddr(text), everything) || mayReach(netip.MustParseAddr(text), nil) {
			t.Errorf("%s is not what the operator decides", text)
		}
	}
	for _, text := range []string{"1.1.1.1", "8.8.8.8", "140.82.121.3", "2606:4700:4700::1111"} {
		if !mayReach(netip.MustParseAddr(text), nil) {
			t.Errorf("%s may not be reached", text)
		}
	}
}

func TestATunnelCarriesBytesBothWaysAndEndsWithTheStep(t *testing.T) {
	t.Parallel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	ended := make(chan error, 1)
	go func() {
		conn, err := server.Accept()
		if err != nil {
			ended <- err
			return
		}
		_, err = io.Copy(conn, conn)
		ended <- err
	}()
	_, to, _ := net.SplitHostPort(server.Addr().String())
	p := New(onLoopback("echo.example:" + to))
	p.lookup = names{"echo.example": "127.0.0.1"}.lookup
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- p.Serve(ctx, l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	// The first bytes come with the request, before it is answered.
	_, _ = fmt.Fprintf(conn, "CONNECT echo.example:%s HTTP/1.1\r\nHost: echo.example:%s\r\n\r\nearly\n", to, to)
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, &http.Request{Method: "CONNECT"})
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%v, %v", res, err)
	}
	if line, err := in.ReadString('\n'); line != "early\n" {
		t.Errorf("got %q, %v", line, err)
	}
	_, _ = fmt.Fprintln(conn, "late")
	if line, err := in.ReadString('\n'); line != "late\n" {
		t.Errorf("got %q, %v", line, err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := in.ReadByte(); err == nil {
		t.Error("the tunnel is still there")
	}
	<-ended
}

func TestWhatIsNoProxyRequestIsRefused(t *testing.T) {
	t.Parallel()
	_, address := serve(t, New(Policy{Full: true}))
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"GET https://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"GET ftp://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"CONNECT example.com:0 HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"CONNECT example.com:99999 HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"CONNECT :443 HTTP/1.1\r\nHost: x\r\n\r\n",
		"\x16\x03\x01\x02\x00\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, request)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != 400 {
			t.Errorf("%q: %v, %v", request, res, err)
		}
		_ = conn.Close()
	}
}

func port(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}
