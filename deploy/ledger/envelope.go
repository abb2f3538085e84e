package ledger

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
)

// payloadType says that an envelope holds an in-toto statement.
const payloadType = "application/vnd.in-toto+json"

// envelope is a DSSE envelope. Both byte strings are base64 in JSON.
//
// https://github.com/secure-systems-lab/dsse/blob/master/envelope.md
type envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     []byte      `json:"payload"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// pae is what is signed: the type and the payload, each with its length, so that neither can be taken for the other.
//
// https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
func pae(kind string, payload []byte) []byte {
	return append(fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(kind), kind, len(payload)), payload...)
}

// seal puts a payload into a signed envelope, as one line without its end.
func seal(key ed25519.PrivateKey, payload []byte) ([]byte, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("ledger: the key is no Ed25519 key")
	}
	return json.Marshal(envelope{payloadType, payload, []signature{{KeyID(public), ed25519.Sign(key, pae(payloadType, payload))}}})
}

// open proves an envelope and returns its payload. The line must be exactly as seal writes it, so that no second form of
// the same words passes.
func open(public ed25519.PublicKey, line []byte) ([]byte, error) {
	var e envelope
	if err := json.Unmarshal(line, &e); err != nil {
		return nil, errors.New("it is not a DSSE envelope")
	}
	same, err := json.Marshal(e)
	switch {
	case err != nil || !bytes.Equal(same, line) || len(e.Signatures) != 1:
		return nil, errors.New("it is not an envelope as Conveyor writes it")
	case e.PayloadType != payloadType:
		return nil, fmt.Errorf("it holds %q, and not an in-toto statement", e.PayloadType)
	case e.Signatures[0].KeyID != KeyID(public):
		return nil, fmt.Errorf("it names the key %.20s, and this is %.20s", e.Signatures[0].KeyID, KeyID(public))
	case !ed25519.Verify(public, pae(e.PayloadType, e.Payload), e.Signatures[0].Sig):
		return nil, errors.New("its signature does not fit what it says")
	}
	return e.Payload, nil
}
