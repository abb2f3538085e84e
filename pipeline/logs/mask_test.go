package logs

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// plainMask is what the masker must do, done slowly on the whole text: whatever any form covers becomes one mask.
func plainMask(text string, needles []string) string {
	covered := make([]bool, len(text))
	for _, n := range needles {
		for from := 0; ; {
			i := strings.Index(text[from:], n)
			if i < 0 {
				break
			}
			for j := range len(n) {
				covered[from+i+j] = true
			}
			from += i + 1
		}
	}
	var b strings.Builder
	for i := range len(text) {
		if !covered[i] {
			b.WriteByte(text[i])
		} else if i == 0 || !covered[i-1] {
			b.WriteString(Mask)
		}
	}
	return b.String()
}

// masked pushes the chunks through a masker, asking for what is decided after each of them.
func masked(m *masker, chunks [][]byte) string {
	var b bytes.Buffer
	for _, c := range chunks {
		m.add(c)
		b.Write(m.next(false))
	}
	b.Write(m.next(true))
	return b.String()
}

func TestAnySplitOfAnyTextIsMaskedLikeTheWhole(t *testing.T) {
	t.Parallel()
	for round := range 20 { // of 100 cases each
		t.Run(strconv.Itoa(round), func(t *testing.T) { rapid.Check(t, maskAnything) })
	}
}

func maskAnything(r *rapid.T) {
	secret := rapid.OneOf(
		rapid.StringMatching(`[ab]{4,9}`), // overlap themselves and each other
		rapid.StringMatching(`[a-zA-Z0-9/+_-]{8,40}`),
		rapid.StringMatching(`[!-)+-~]{4,24}`),
		rapid.StringMatching(`[a-c]{4,6}\n[ ]?[a-d'"]{1,9}\r?\n`),
		rapid.StringMatching(`[äß€😀a]{4,8}`),
	).Filter(func(s string) bool { return Validate([]string{s}) == nil })
	secrets := rapid.SliceOfN(secret, 0, 4).Draw(r, "secrets")
	needles := forms(secrets)
	var text []byte
	for range rapid.IntRange(0, 12).Draw(r, "parts") {
		if len(needles) == 0 || rapid.IntRange(0, 2).Draw(r, "filler") == 0 {
			text = append(text, rapid.StringMatching(`[ab\n =A-Z]{0,20}`).Draw(r, "text")...)
			continue
		}
		n := rapid.SampledFrom(needles).Draw(r, "form")
		from := rapid.SampledFrom([]int{0, 0, 0, 1, len(n) / 2}).Draw(r, "from")
		to := rapid.SampledFrom([]int{len(n), len(n), len(n), len(n) - 1}).Draw(r, "to")
		text = append(text, n[from:max(from, to)]...)
	}
	var chunks [][]byte
	for rest := text; len(rest) > 0; {
		n := min(len(rest), rapid.SampledFrom([]int{1, 1, 2, 3, 5, 17, 1000}).Draw(r, "chunk"))
		chunks, rest = append(chunks, rest[:n]), rest[n:]
	}
	got := masked(newMasker(secrets), chunks)
	if want := plainMask(string(text), needles); got != want {
		r.Fatalf("split into %d chunks: %q became\n%q, want\n%q", len(chunks), text, got, want)
	}
	for _, n := range needles {
		if strings.Contains(got, n) && !strings.Contains(n, "*") {
			r.Fatalf("%q still holds %q", got, n)
		}
	}
}

// TestEverySplitOfEveryFormIsMasked cuts each form at every byte.
func TestEverySplitOfEveryFormIsMasked(t *testing.T) {
	t.Parallel()
	secrets := []string{"p@ss w0rd/'\"$x\\ü", "line one\nline two\nfour", "tokn"}
	m := newMasker(secrets)
	for _, form := range forms(secrets) {
		text := []byte("<" + form + ">")
		want := plainMask(string(text), m.search.needles)
		for at := range text {
			fresh := &masker{search: m.search}
			if got := masked(fresh, [][]byte{text[:at], text[at:]}); got != want || strings.Contains(got, form) {
				t.Fatalf("%q cut at %d became %q, want %q", form, at, got, want)
			}
		}
	}
}

const awkward = "p@ss w0rd/'+\"$HOME\\ü#1;~=%&`*(é)!"

func TestWhatToolsMakeOfASecretIsMasked(t *testing.T) {
	t.Parallel()
	var all []string
	for before := range 4 {
		for after := range 4 {
			raw := strings.Repeat("<", before) + awkward + strings.Repeat(">", after)
			for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
				once := e.EncodeToString([]byte(raw))
				all = append(all, once, e.EncodeToString([]byte(once)), e.EncodeToString([]byte("x"+once+"\n")))
			}
		}
	}
	all = append(all, hex.EncodeToString([]byte(awkward)), strings.ToUpper(hex.EncodeToString([]byte(awkward))))
	all = append(all, url.QueryEscape(awkward), url.PathEscape(awkward), (&url.URL{Path: awkward}).EscapedPath(),
		(&url.URL{Scheme: "https", User: url.UserPassword("me", awkward), Host: "example.com"}).String())
	quoted, err := json.Marshal(map[string]string{"token": awkward})
	if err != nil {
		t.Fatal(err)
	}
	twice, err := json.Marshal(string(quoted))
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, string(quoted), string(twice))
	for _, script := range []string{`echo "$SECRET"`, `set -x; : "$SECRET"`, `printf %q "$SECRET"`, `declare -p SECRET`, `echo "${SECRET@Q}"`,
		`export`, `env | base64 -w0`, `printf %s "$SECRET" | base64 -w0 | base64 -w0`, `printf %s "$SECRET" | od -An -tx1 | tr -d " \n"`, `printf %s "$SECRET" | rev`} {
		cmd := exec.Command("bash", "-c", script)
		cmd.Env = []string{"SECRET=" + awkward, "LC_ALL=C.UTF-8", "PATH=" + os.Getenv("PATH")}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("bash -c %q: %v; install bash and coreutils", script, err)
		}
		all = append(all, string(out))
	}
	for _, text := range all {
		got := masked(newMasker([]string{awkward}), [][]byte{[]byte(text)})
		if !strings.Contains(got, Mask) || len(text)-len(got) < len(awkward)-len(Mask)-2 {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestEachLineOfASecretWithSeveralLinesIsMasked(t *testing.T) {
	t.Parallel()
	key := "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA7\n  q83vEjRWeJCrze8S\r\nab\n-----END KEY-----\n"
	text := "12:00 -----BEGIN KEY-----\n12:00 MIIEpAIBAAKCAQEA7\n12:00 q83vEjRWeJCrze8S\n12:00 ab\n12:00 -----END KEY-----\n"
	want := "12:00 ***\n12:00 ***\n12:00 ***\n12:00 ab\n12:00 ***\n"
	if got := masked(newMasker([]string{key}), [][]byte{[]byte(text)}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatCannotBeASecretIsNotHeldBack(t *testing.T) {
	t.Parallel()
	m := newMasker([]string{"secret-value"})
	m.add([]byte("Password? "))
	if got := string(m.next(false)); got != "Password? " {
		t.Errorf("a prompt came out as %q", got)
	}
	m.add([]byte("it is secret"))
	if got := string(m.next(false)); got != "it is " {
		t.Errorf("the start of a secret came out: %q", got)
	}
	m.add([]byte("-value!"))
	if got := string(m.next(false)); got != "***!" {
		t.Errorf("got %q, want ***!", got)
	}
}

func TestSecretsThatCannotBeMaskedAreRefusedWithoutTellingThem(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "abc", "ab\n\n\n", strings.Repeat("x", longest+1)} {
		err := Validate([]string{"fine", bad})
		if err == nil {
			t.Errorf("a secret of %d bytes was taken", len(bad))
		} else if bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
	if err := Validate([]string{"four", strings.Repeat("x", longest)}); err != nil {
		t.Error(err)
	}
}
