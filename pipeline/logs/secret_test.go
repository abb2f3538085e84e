package logs

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// givenAway lists what gives a secret away, made by other means than the masker's: its plain form, and what encoders make
// of it, alone and with any neighbours.
func givenAway(r *rapid.T, s string) []string {
	all := []string{s, hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s))), url.QueryEscape(s), url.PathEscape(s),
		strings.ReplaceAll(s, "'", `'\''`)}
	quoted, err := json.Marshal(s)
	if err != nil {
		r.Fatal(err)
	}
	all = append(all, string(quoted[1:len(quoted)-1]))
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for before := range 3 { // the three alignments; the characters at both edges depend on the neighbours as well
			whole := e.EncodeToString([]byte(strings.Repeat("\x00", before) + s + strings.Repeat("\x00", (6-before-len(s)%3)%3)))
			all = append(all, whole[(before*8+5)/6:(before+len(s))*8/6])
		}
	}
	return all
}

// printer makes a secret look as a step may print it.
func printer(r *rapid.T, s string) string {
	neighbours := rapid.StringMatching(`[a-z]{0,5}`)
	before, after := neighbours.Draw(r, "before"), neighbours.Draw(r, "after")
	within := before + s + after
	quoted, err := json.Marshal(within)
	if err != nil {
		r.Fatal(err)
	}
	return rapid.SampledFrom([]string{
		within, hex.EncodeToString([]byte(within)), strings.ToUpper(hex.EncodeToString([]byte(within))), url.QueryEscape(within), url.PathEscape(within),
		base64.StdEncoding.EncodeToString([]byte(within)), base64.URLEncoding.EncodeToString([]byte(within)), base64.RawStdEncoding.EncodeToString([]byte(within)),
		string(quoted), "'" + strings.ReplaceAll(within, "'", `'\''`) + "'",
	}).Draw(r, "form")
}

// TestNoFormOfASecretEverReachesTheFile goes through the whole writer: whatever the pieces in which it comes, whenever they are
// stored, and wherever the log is cut.
func TestNoFormOfASecretEverReachesTheFile(t *testing.T) {
	t.Parallel()
	s := opened(t)
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		name := "run/" + strconv.Itoa(n)
		secrets := rapid.SliceOfN(rapid.OneOf(
			rapid.StringMatching(`[A-Za-z0-9_]{12,40}`), rapid.StringMatching(`[!-~]{12,30}`), rapid.StringMatching(`[a-z" /\\$']{12,20}x`), rapid.StringMatching(`[äöü€]{6,10}`),
		).Filter(func(s string) bool {
			return Validate([]string{s}) == nil && strings.TrimSpace(s) == s && !strings.Contains(s, "*")
		}), 1, 3).Draw(r, "secrets")
		var text bytes.Buffer
		for range rapid.IntRange(1, 20).Draw(r, "parts") {
			text.WriteString(rapid.StringMatching(`[a-z :=\n]{0,12}`).Draw(r, "text"))
			text.WriteString(printer(r, rapid.SampledFrom(secrets).Draw(r, "secret")))
			text.WriteString(rapid.SampledFrom([]string{"\n", " ", ";"}).Draw(r, "end"))
		}
		w, err := s.Writer(name, secrets, rapid.SampledFrom([]int64{0, 0, 50, 200}).Draw(r, "limit"))
		if err != nil {
			r.Fatal(err)
		}
		for rest := text.Bytes(); len(rest) > 0; {
			size := min(len(rest), rapid.SampledFrom([]int{1, 2, 7, 40, 1000}).Draw(r, "piece"))
			if _, err := w.Write(rest[:size]); err != nil {
				r.Fatal(err)
			}
			if rest = rest[size:]; rapid.Bool().Draw(r, "store now") {
				w.mu.Lock()
				w.flush(false)
				w.mu.Unlock()
			}
		}
		if err := w.Close(); err != nil {
			r.Fatal(err)
		}
		got, err := s.root.ReadFile(name + logEnding)
		if err != nil {
			r.Fatal(err)
		}
		for _, secret := range secrets {
			for _, form := range givenAway(r, secret) {
				if bytes.Contains(got, []byte(form)) {
					r.Fatalf("the log holds %q of the secret %q:\n%s", form, secret, got)
				}
			}
		}
		if err := s.Verify(name); err != nil {
			r.Fatal(fmt.Errorf("after all: %w", err))
		}
	})
}
