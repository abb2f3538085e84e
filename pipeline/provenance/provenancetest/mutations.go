// Package provenancetest makes bad bundles out of a good one, for every verifier to refuse.
package provenancetest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Mutation is a bundle that must not be believed.
type Mutation struct {
	Name   string
	Bundle []byte
	// OnlyOurs is a bundle that means the same as the good one, so that a verifier may take it which does not ask for its
	// one form.
	OnlyOurs bool
}

// doc is a bundle that can be changed in any place.
type doc = map[string]any

// Mutations are what someone could do to a bundle without the key that has signed it.
func Mutations(t testing.TB, good []byte) (all []Mutation) {
	t.Helper()
	add := func(name string, bundle []byte) { all = append(all, Mutation{Name: name, Bundle: bundle}) }
	change := func(name string, change func(doc)) {
		var d doc
		must(t, json.Unmarshal(good, &d))
		change(d)
		add(name, encode(t, d))
	}
	envelope := func(name string, f func(e doc)) { change(name, func(d doc) { f(d["dsseEnvelope"].(doc)) }) }
	// says changes a word of the statement, and leaves its signature.
	says := func(name, from, to string) {
		envelope(name, func(e doc) { e["payload"] = swap(t, e["payload"].(string), from, to) })
	}

	says("another digest", strings.Repeat("a", 64), strings.Repeat("0", 64))
	says("another file's digest", strings.Repeat("b", 64), strings.Repeat("0", 64))
	says("another name", `"name":"site"`, `"name":"shop"`)
	says("another builder", "conveyor.example.com", "conveyor.example.net")
	says("another repository", "octo/shop", "evil/shop")
	says("another repository's number", `"repositoryId":7`, `"repositoryId":8`)
	says("another ref", "refs/heads/main", "refs/heads/evil")
	says("another commit", `"gitCommit":"eeee`, `"gitCommit":"ffff`)
	says("another plan", strings.Repeat("d", 64), strings.Repeat("0", 64))
	says("a higher tier", "T2 writer", "T3 approved")
	says("another event", `"event":"push"`, `"event":"pull_request"`)
	says("another run", "run/7/guid", "run/7/other")
	says("another step", `"step":"site"`, `"step":"evil"`)
	says("an earlier start", "2026-11-02T12:00:01", "2025-11-02T12:00:01")
	says("a later end", "2026-11-02T12:00:02", "2027-11-02T12:00:02")
	says("another predicate", "https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v2")
	says("another statement", "https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
	says("another kind of build", "docs/provenance/v1", "docs/provenance/v9")
	says("one more field", `"attempt":1`, `"attempt":1,"evil":1`)
	says("one more blank", `{"_type"`, `{ "_type"`)

	envelope("another type of payload", func(e doc) { e["payloadType"] = "application/json" })
	envelope("no type of payload", func(e doc) { e["payloadType"] = "" })
	envelope("an empty payload", func(e doc) { e["payload"] = "" })
	envelope("a payload that is no JSON", func(e doc) { e["payload"] = base64.StdEncoding.EncodeToString([]byte("hello")) })
	envelope("no signatures", func(e doc) { e["signatures"] = []any{} })
	sig := func(name string, f func([]byte) []byte) {
		envelope(name, func(e doc) {
			s := e["signatures"].([]any)[0].(doc)
			raw, err := base64.StdEncoding.DecodeString(s["sig"].(string))
			must(t, err)
			s["sig"] = base64.StdEncoding.EncodeToString(f(raw))
		})
	}
	sig("an empty signature", func([]byte) []byte { return nil })
	sig("another bit in the signature", func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	sig("a longer signature", func(b []byte) []byte { return append(b, 0) })
	sig("a shorter signature", func(b []byte) []byte { return b[:len(b)-1] })
	sig("a signature of zeros", func([]byte) []byte { return []byte{0x30, 6, 2, 1, 0, 2, 1, 0} })
	envelope("two signatures, the bad one first", func(e doc) {
		first := e["signatures"].([]any)[0]
		e["signatures"] = []any{doc{"sig": base64.StdEncoding.EncodeToString([]byte("x"))}, first}
	})
	all[len(all)-1].OnlyOurs = true

	// What a stranger has signed himself, with his own key in place of ours.
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKIXPublicKey(&stranger.PublicKey)
	must(t, err)
	hint := sha256.Sum256(der)
	resign := func(e doc) {
		payload, err := base64.StdEncoding.DecodeString(e["payload"].(string))
		must(t, err)
		sum := sha256.Sum256(append(fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(e["payloadType"].(string)), e["payloadType"], len(payload)), payload...))
		made, err := ecdsa.SignASN1(rand.Reader, stranger, sum[:])
		must(t, err)
		e["signatures"] = []any{doc{"sig": base64.StdEncoding.EncodeToString(made)}}
	}
	envelope("signed by a stranger, in our name", resign)
	change("signed by a stranger, in his name", func(d doc) {
		resign(d["dsseEnvelope"].(doc))
		d["verificationMaterial"].(doc)["publicKey"].(doc)["hint"] = base64.StdEncoding.EncodeToString(hint[:])
	})
	change("signed by a stranger, with his key in it", func(d doc) {
		resign(d["dsseEnvelope"].(doc))
		d["verificationMaterial"] = doc{"certificate": doc{"rawBytes": base64.StdEncoding.EncodeToString(der)}}
	})

	change("another media type", func(d doc) { d["mediaType"] = "application/vnd.dev.sigstore.bundle.v9+json" })
	change("no media type", func(d doc) { delete(d, "mediaType") })
	change("no envelope", func(d doc) { delete(d, "dsseEnvelope") })
	change("no material", func(d doc) { delete(d, "verificationMaterial") })
	change("a message's signature instead", func(d doc) {
		delete(d, "dsseEnvelope")
		d["messageSignature"] = doc{"messageDigest": doc{"algorithm": "SHA2_256", "digest": base64.StdEncoding.EncodeToString(hint[:])}, "signature": base64.StdEncoding.EncodeToString(hint[:])}
	})
	change("a field that is unknown", func(d doc) { d["evil"] = true })
	add("half of it", good[:len(good)/2])
	add("nothing", nil)
	add("two of them", append(bytes.Clone(good), good...))
	add("not JSON", []byte("hello"))
	add("null", []byte("null"))
	ours := func(name string, bundle []byte) {
		all = append(all, Mutation{Name: name, Bundle: bundle, OnlyOurs: true})
	}
	ours("spaced out", append([]byte(" "), good...))
	ours("a field twice", bytes.Replace(good, []byte(`{"mediaType"`), []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","mediaType"`), 1))
	return all
}

// swap changes a word in a payload, which must be there.
func swap(t testing.TB, payload, from, to string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(payload)
	must(t, err)
	if !bytes.Contains(raw, []byte(from)) {
		t.Fatalf("the statement does not say %q:\n%s", from, raw)
	}
	return base64.StdEncoding.EncodeToString(bytes.Replace(raw, []byte(from), []byte(to), 1))
}

func encode(t testing.TB, d doc) []byte {
	t.Helper()
	b, err := json.Marshal(d)
	must(t, err)
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
