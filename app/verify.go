package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// How a deployment is proven: so many good answers in a row, before the deadline.
const (
	verifyPasses   = 3
	verifyInterval = 200 * time.Millisecond
	verifyDeadline = 30 * time.Second
	verifyTimeout  = 5 * time.Second
	releasePath    = "/.well-known/release" // where a static target's release says which digest it is
)

// verify asks the environment itself, over HTTP: that it answers well, and that it is the new release which answers. A
// healthy old one is the most common false proof.
func (a *App) verify(ctx context.Context, spec pipeline.Environment, url string, digest pipeline.Digest, log io.Writer) error {
	if url == "" {
		return nil // there is nobody to ask
	}
	ctx, cancel := context.WithTimeout(ctx, verifyDeadline)
	defer cancel()
	base := strings.TrimSuffix(url, "/")
	passes := 0
	var last error
	for passes < verifyPasses {
		if passes > 0 || last != nil {
			if pause(ctx, verifyInterval) != nil {
				return fmt.Errorf("%s was not proven within %s: %w", url, verifyDeadline, last)
			}
		}
		if last = a.askOnce(ctx, spec, base, digest); last != nil {
			passes = 0
			continue
		}
		passes++
	}
	fmt.Fprintf(log, "%s answered well %d times, and says that it is %s.\n", url, passes, digest.Short())
	return nil
}

func (a *App) askOnce(ctx context.Context, spec pipeline.Environment, base string, digest pipeline.Digest) error {
	if path := spec.Verify.HTTP; path != "" {
		body, err := a.get(ctx, base+path)
		if err != nil {
			return err
		}
		if want := spec.Verify.Contains; want != "" && !strings.Contains(string(body), want) {
			return fmt.Errorf("GET %s does not contain %q", path, want)
		}
	}
	if spec.Target.Kind != "static" {
		return nil // only a static release says by itself which one it is
	}
	body, err := a.get(ctx, base+releasePath)
	if err != nil {
		return err
	}
	var release struct {
		Digest pipeline.Digest `json:"digest"`
	}
	if err := json.Unmarshal(body, &release); err != nil {
		return fmt.Errorf("GET %s: %w", releasePath, err)
	}
	if release.Digest != digest {
		return fmt.Errorf("it still serves %s, not %s", release.Digest.Short(), digest.Short())
	}
	return nil
}

func (a *App) get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "conveyor-verify")
	req.Header.Set("Cache-Control", "no-cache")
	res, err := a.verifier.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // nothing is left to lose once it has been read
	if res.StatusCode < 200 || res.StatusCode > 399 {
		return nil, fmt.Errorf("GET %s answered %d", req.URL.Path, res.StatusCode)
	}
	return io.ReadAll(io.LimitReader(res.Body, 1<<20))
}

// verifyClient speaks to environments only: never to the machine's metadata service, and never through a proxy or to
// another host by a redirect.
func verifyClient() *http.Client {
	dialer := &net.Dialer{Timeout: verifyTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if ip := at.Addr().Unmap(); ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
			return fmt.Errorf("%s is not an address where an environment can be", ip)
		}
		return nil
	}}
	return &http.Client{
		Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if req.URL.Host != via[0].URL.Host || len(via) > 5 {
				return errors.New("it redirects to another host")
			}
			return nil
		},
	}
}
