package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// minSecret is how short a secret may be, in bytes.
const minSecret = 16

// prover proves that a body is GitHub's. go-github's own check accepts SHA-1, and anything at all on an empty secret.
// https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
type prover struct{ macs []*sync.Pool } // of hash.Hash, one pool for each secret in force

func newProver(secrets []string) (*prover, error) {
	if len(secrets) < 1 || len(secrets) > 2 {
		return nil, fmt.Errorf("webhook: %d secrets; one is needed, and at most two are in force while one replaces the other", len(secrets))
	}
	for i, s := range secrets {
		if len(strings.TrimSpace(s)) < minSecret || strings.Trim(s, s[:1]) == "" {
			return nil, fmt.Errorf("webhook: secret %d is too short or all one letter; give %d random bytes or more, for example from `openssl rand -hex 32`", i+1, minSecret)
		}
		if slices.Contains(secrets[:i], s) {
			return nil, fmt.Errorf("webhook: both secrets are the same")
		}
	}
	return provers(secrets), nil
}

func provers(secrets []string) *prover {
	p := &prover{}
	for _, s := range secrets {
		p.macs = append(p.macs, &sync.Pool{New: func() any { return hmac.New(sha256.New, []byte(s)) }})
	}
	return p
}

// claim is what the one X-Hub-Signature-256 header says: "sha256=" and 64 lower-case digits, and nothing else.
func claim(h http.Header) (sum [sha256.Size]byte, ok bool) {
	digits, ok := strings.CutPrefix(only(h, "X-Hub-Signature-256"), "sha256=")
	if !ok || len(digits) != 2*len(sum) {
		return sum, false
	}
	for i := range sum {
		high, low := digit(digits[2*i]), digit(digits[2*i+1])
		if high > 15 || low > 15 {
			return sum, false
		}
		sum[i] = high<<4 | low
	}
	return sum, true
}

// digit is the value of a lower-case hexadecimal digit, or 255.
func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

// proves compares in constant time, with every secret, whichever fits.
func (p *prover) proves(claimed [sha256.Size]byte, body []byte) bool {
	good := false
	for _, pool := range p.macs {
		mac := pool.Get().(hash.Hash)
		mac.Reset()
		mac.Write(body)
		var sum [sha256.Size]byte
		if hmac.Equal(mac.Sum(sum[:0]), claimed[:]) {
			good = true
		}
		pool.Put(mac)
	}
	return good
}
