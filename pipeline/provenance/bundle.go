package provenance

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	hash "crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
)

const (
	mediaType   = "application/vnd.dev.sigstore.bundle.v0.3+json"
	payloadType = "application/vnd.in-toto+json"
)

// MaxBundle is the largest bundle that is read, in bytes: a thousand files with the longest of names.
const MaxBundle = 4 << 20

// bundle is a Sigstore bundle that holds a DSSE envelope and names its key. Byte strings are base64 in JSON.
//
// https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto
type bundle struct {
	MediaType string   `json:"mediaType"`
	Material  material `json:"verificationMaterial"`
	Envelope  envelope `json:"dsseEnvelope"`
}

// material is a hint only: which of the keys that the reader has may fit.
type material struct {
	PublicKey struct {
		Hint string `json:"hint"`
	} `json:"publicKey"`
}

type envelope struct {
	Payload     []byte      `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	Sig []byte `json:"sig"`
}

// pae is what is signed: the type and the payload, each with its length, so that neither can be taken for the other.
//
// https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
func pae(kind string, payload []byte) []byte {
	return append(fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(kind), kind, len(payload)), payload...)
}

// Sign makes the bundle of a claim.
func (k *Key) Sign(c Claim) ([]byte, error) {
	payload, err := c.payload()
	if err != nil {
		return nil, err
	}
	sum := hash.Sum256(pae(payloadType, payload))
	sig, err := ecdsa.SignASN1(rand.Reader, k.private, sum[:])
	if err != nil {
		return nil, fmt.Errorf("provenance: sign: %w", err)
	}
	b := bundle{MediaType: mediaType, Envelope: envelope{payload, payloadType, []signature{{sig}}}}
	if b.Material.PublicKey.Hint, err = Hint(&k.private.PublicKey); err != nil {
		return nil, err
	}
	return json.Marshal(b)
}

// Verify proves a bundle by one of the keys, and returns what it claims. Whether that is what one wants is for the caller
// to ask: see Want.
func Verify(data []byte, keys []*ecdsa.PublicKey) (Claim, error) {
	if len(data) > MaxBundle {
		return Claim{}, errors.New("it is too large for a provenance")
	}
	data = bytes.TrimSuffix(data, []byte("\n"))
	var b bundle
	if err := json.Unmarshal(data, &b); err != nil {
		return Claim{}, errors.New("it is not a Sigstore bundle")
	}
	if b.MediaType != mediaType {
		return Claim{}, fmt.Errorf("it is a %q, and not a Sigstore bundle of version 0.3", b.MediaType)
	}
	same, err := json.Marshal(b)
	switch {
	case err != nil || !bytes.Equal(same, data) || len(b.Envelope.Signatures) != 1:
		return Claim{}, errors.New("it is not a bundle as Conveyor writes it")
	case b.Envelope.PayloadType != payloadType:
		return Claim{}, fmt.Errorf("it holds %q, and not an in-toto statement", b.Envelope.PayloadType)
	}
	sum := hash.Sum256(pae(b.Envelope.PayloadType, b.Envelope.Payload))
	for _, key := range keys {
		hint, err := Hint(key)
		if err != nil || hint != b.Material.PublicKey.Hint {
			continue
		}
		if !ecdsa.VerifyASN1(key, sum[:], b.Envelope.Signatures[0].Sig) {
			return Claim{}, errors.New("its signature does not fit what it says")
		}
		return read(b.Envelope.Payload)
	}
	return Claim{}, errors.New("it was signed with a key that is not trusted here")
}
