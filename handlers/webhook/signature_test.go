package webhook_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/handlers/webhook"
)

func TestTheSignatureVectorsHold(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/signature-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Name, Secret, SHA256, SHA1 string
			Body                       string `json:"body_utf8"`
		}
		Negative []struct{ Header, Why string }
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) < 5 || len(file.Negative) < 7 {
		t.Fatalf("only %d vectors and %d negatives", len(file.Vectors), len(file.Negative))
	}
	for _, v := range file.Vectors {
		body := []byte(v.Body)
		if !webhook.Proves(v.Secret, v.SHA256, body) {
			t.Errorf("%s: the signature is refused", v.Name)
		}
		for why, header := range map[string]string{
			"SHA-1":          v.SHA1,
			"SHA-512":        "sha512=" + mac512(v.Secret, body),
			"no prefix":      strings.TrimPrefix(v.SHA256, "sha256="),
			"capital digits": "sha256=" + strings.ToUpper(v.SHA256[7:]),
			"capital prefix": "SHA256=" + strings.ToUpper(v.SHA256[7:]),
			"cut":            v.SHA256[:len(v.SHA256)-2],
			"padded":         v.SHA256 + " ",
		} {
			if webhook.Proves(v.Secret, header, body) {
				t.Errorf("%s: %s is accepted", v.Name, why)
			}
		}
		if webhook.Proves(v.Secret, v.SHA256, append(body, '\n')) || webhook.Proves(v.Secret+" ", v.SHA256, body) {
			t.Errorf("%s: another body or secret is accepted", v.Name)
		}
	}
	for _, n := range file.Negative {
		if webhook.Proves(secret, n.Header, []byte("{}")) {
			t.Errorf("%q is accepted: %s", n.Header, n.Why)
		}
	}
	one := hmac.New(sha1.New, []byte(secret))
	one.Write([]byte("{}"))
	if webhook.Proves(secret, "sha1="+hex.EncodeToString(one.Sum(nil)), []byte("{}")) {
		t.Error("a valid SHA-1 signature is accepted")
	}
}

func mac512(secret string, body []byte) string {
	m := hmac.New(sha512.New, []byte(secret))
	m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}

// FuzzIntake holds the door to its one rule: a delivery is written exactly when its signature is right, its headers are
// in form, and its body is a JSON object.
func FuzzIntake(f *testing.F) {
	for _, body := range documents {
		f.Add(sign(secret, []byte(body)), []byte(body), "push", "72d3162e", true)
	}
	f.Add("sha256=", []byte("{}"), "ping", "../..", false)
	f.Add(strings.Repeat("0", 71), []byte("{}"), "Push", strings.Repeat("x", 200), false)
	f.Fuzz(func(t *testing.T, header string, body []byte, event, guid string, resign bool) {
		if resign {
			header = sign(secret, body)
		}
		var k keeper
		r := post(t, string(body))
		r.Header["X-Hub-Signature-256"] = []string{header}
		r.Header["X-Github-Event"] = []string{event}
		r.Header["X-Github-Delivery"] = []string{guid}
		w := serve(router(t, k.options()), r)
		proven := header == sign(secret, body)
		if (w.Code == http.StatusUnauthorized) == proven {
			t.Fatalf("%q over %q: %d", header, body, w.Code)
		}
		if wrote := len(k.kept) == 1; wrote != (w.Code == http.StatusAccepted) || wrote && (!proven || !want(body) || string(k.kept[0].Body) != string(body)) {
			t.Fatalf("%q over %q: answered %d, written %v", header, body, w.Code, wrote)
		}
		if strings.Count(k.log.String(), "\n") > 1 {
			t.Fatalf("the log was broken into lines: %q", k.log.String())
		}
		if len(k.kept) == 1 {
			webhook.Translate(k.kept[0])
		}
	})
}
