package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/conveyor-ci/conveyor/handlers/webhook"
)

const secret = "It's a Secret to Everybody"

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// sign is the header that GitHub would send.
func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hexOf(mac.Sum(nil))
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// post is a good delivery, which the tests spoil.
func post(t testing.TB, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/github", strings.NewReader(body))
	r.Header = http.Header{}
	for k, v := range map[string]string{
		"Content-Type": "application/json", "X-Hub-Signature-256": sign(secret, []byte(body)), "X-Hub-Signature": "sha1=0000",
		"X-GitHub-Event": "push", "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "X-GitHub-Hook-ID": "292430182",
		"X-GitHub-Hook-Installation-Target-Type": "integration", "X-GitHub-Hook-Installation-Target-ID": "4711", "User-Agent": "GitHub-Hookshot/044aadd",
	} {
		r.Header.Set(k, v)
	}
	return r
}

// keeper remembers what it is told to make durable.
type keeper struct {
	mu   sync.Mutex
	kept []webhook.Delivery
	err  error
	told []int
	log  bytes.Buffer
}

func (k *keeper) accept(_ context.Context, d webhook.Delivery) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	d.Body = bytes.Clone(d.Body)
	k.kept = append(k.kept, d)
	return k.err
}

func (k *keeper) options() webhook.Options {
	return webhook.Options{
		Secrets: []string{secret}, Accept: k.accept, Log: slog.New(slog.NewTextHandler(&k.log, nil)),
		Metrics: func(code int) { k.told = append(k.told, code) }, Now: func() time.Time { return noon },
	}
}

// router serves the handler as the house does.
func router(t testing.TB, o webhook.Options) http.Handler {
	t.Helper()
	h, err := webhook.Handler(o)
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.POST("/webhooks/github", h)
	return r
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestASignedDeliveryIsMadeDurableBeforeItIsAnswered(t *testing.T) {
	t.Parallel()
	var k keeper
	body := `{"zen":"Keep it logically awesome.","n":[1,2]}`
	w := serve(router(t, k.options()), post(t, body))
	if w.Code != http.StatusAccepted || w.Body.String() != "Taken." {
		t.Fatalf("answered %d %q", w.Code, w.Body)
	}
	if len(k.kept) != 1 || len(k.told) != 1 || k.told[0] != http.StatusAccepted {
		t.Fatalf("kept %d, counted %v", len(k.kept), k.told)
	}
	d := k.kept[0]
	if d.Source != "app/4711" || d.GUID != "72d3162e-cc78-11e3-81ab-4c9367dc0958" || d.Event != "push" || string(d.Body) != body || !d.ReceivedAt.Equal(noon) {
		t.Fatalf("kept %+v", d)
	}
	if d.Stream() != "delivery/app/4711/72d3162e-cc78-11e3-81ab-4c9367dc0958" {
		t.Fatalf("its stream is %s", d.Stream())
	}
}

func TestARepositorysHookIsToldApartByItsOwnID(t *testing.T) {
	t.Parallel()
	var k keeper
	r := post(t, "{}")
	r.Header.Set("X-GitHub-Hook-Installation-Target-Type", "repository")
	if w := serve(router(t, k.options()), r); w.Code != http.StatusAccepted || k.kept[0].Source != "hook/292430182" {
		t.Fatalf("%d, %+v", w.Code, k.kept)
	}
}

func TestADeliveryThatIsKnownIsAnsweredWell(t *testing.T) {
	t.Parallel()
	k := keeper{err: errors.Join(errors.New("journal: there already"), webhook.ErrSeen)}
	if w := serve(router(t, k.options()), post(t, "{}")); w.Code != http.StatusAccepted || w.Body.String() == "Taken." {
		t.Fatalf("answered %d %q", w.Code, w.Body)
	}
}

func TestADeliveryThatIsNotDurableIsNeverAnsweredWell(t *testing.T) {
	t.Parallel()
	k := keeper{err: errors.New("journal: the disk at /secret/place is full")}
	w := serve(router(t, k.options()), post(t, "{}"))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Fatalf("answered %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	if strings.Contains(w.Body.String(), "secret") || !strings.Contains(k.log.String(), "disk") {
		t.Fatalf("the answer %q or the log %q is wrong", w.Body, k.log.String())
	}
}

func TestTwoSecretsAreInForceWhileOneReplacesTheOther(t *testing.T) {
	t.Parallel()
	const next = "the secret of tomorrow, long enough"
	var k keeper
	o := k.options()
	o.Secrets = append(o.Secrets, next)
	h := router(t, o)
	for given, code := range map[string]int{secret: 202, next: 202, "the secret of yesterday, long gone": 401} {
		r := post(t, "{}")
		r.Header.Set("X-Hub-Signature-256", sign(given, []byte("{}")))
		if w := serve(h, r); w.Code != code {
			t.Errorf("signed with %q: %d, want %d", given, w.Code, code)
		}
	}
}

func TestSecretsThatProveNothingAreRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	for _, secrets := range [][]string{nil, {""}, {"changeme"}, {"fifteen letters"}, {strings.Repeat("x", 64)}, {"                       brief"}, {secret, ""}, {secret, "brief"}, {secret, secret}, {secret, secret + "2", secret + "3"}} {
		var k keeper
		o := k.options()
		o.Secrets = secrets
		_, err := webhook.Handler(o)
		if err == nil {
			t.Errorf("%q is taken", secrets)
			continue
		}
		for _, s := range secrets {
			if len(s) > 4 && strings.Contains(err.Error(), s) {
				t.Errorf("the error tells the secret: %v", err)
			}
		}
	}
}

// TestARequestThatIsNotGitHubsLeavesNoTrace goes through everything that must be refused, and checks that nothing is
// written for it, and nothing of it is repeated anywhere.
func TestARequestThatIsNotGitHubsLeavesNoTrace(t *testing.T) {
	t.Parallel()
	const body = `{"canary":"ZXCVBNM"}`
	good := sign(secret, []byte(body))
	set := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	add := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Add(k, v) } }
	without := func(k string) func(*http.Request) { return func(r *http.Request) { r.Header.Del(k) } }
	read := func(body string) func(*http.Request) {
		return func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), -1 }
	}
	for name, c := range map[string]struct {
		spoil func(*http.Request)
		code  int
	}{
		"no signature":       {without("X-Hub-Signature-256"), 401},
		"an empty signature": {set("X-Hub-Signature-256", ""), 401},
		"the digits only":    {set("X-Hub-Signature-256", strings.TrimPrefix(good, "sha256=")), 401},
		"no digits":          {set("X-Hub-Signature-256", "sha256="), 401},
		"other digits":       {set("X-Hub-Signature-256", "sha256=zz"), 401},
		"63 digits":          {set("X-Hub-Signature-256", good[:len(good)-1]), 401},
		"65 digits":          {set("X-Hub-Signature-256", good+"0"), 401},
		"capital digits":     {set("X-Hub-Signature-256", "sha256="+strings.ToUpper(good[7:])), 401},
		"a capital prefix":   {set("X-Hub-Signature-256", "SHA256="+good[7:]), 401},
		"a space before":     {set("X-Hub-Signature-256", " "+good), 401},
		"SHA-1":              {set("X-Hub-Signature-256", "sha1="+good[7:47]), 401},
		"SHA-512":            {set("X-Hub-Signature-256", "sha512="+good[7:]+good[7:]), 401},
		"two signatures":     {add("X-Hub-Signature-256", good), 401},
		"two in one":         {set("X-Hub-Signature-256", good+", "+good), 401},
		"one bit wrong":      {set("X-Hub-Signature-256", flip(good)), 401},
		"another secret":     {set("X-Hub-Signature-256", sign(secret+"!", []byte(body))), 401},
		"the empty secret":   {set("X-Hub-Signature-256", sign("", []byte(body))), 401},
		"another body":       {read(body + " "), 401},
		"no body":            {read(""), 401},
		"a form":             {set("Content-Type", "application/x-www-form-urlencoded"), 415},
		"text":               {set("Content-Type", "text/plain"), 415},
		"no content type":    {without("Content-Type"), 415},
		"two content types":  {add("Content-Type", "application/json"), 415},
		"a packed body":      {set("Content-Encoding", "gzip"), 415},
		"a size over 25 MiB": {func(r *http.Request) { r.ContentLength = webhook.MaxBody + 1 }, 413},
		"no event":           {without("X-GitHub-Event"), 400},
		"an odd event":       {set("X-GitHub-Event", "push\n"), 400},
		"a path as event":    {set("X-GitHub-Event", "../push"), 400},
		"two events":         {add("X-GitHub-Event", "ping"), 400},
		"no GUID":            {without("X-GitHub-Delivery"), 400},
		"an odd GUID":        {set("X-GitHub-Delivery", "a/b"), 400},
		"a GUID of dots":     {set("X-GitHub-Delivery", ".."), 400},
		"a long GUID":        {set("X-GitHub-Delivery", strings.Repeat("a", 129)), 400},
		"two GUIDs":          {add("X-GitHub-Delivery", "other"), 400},
		"no source": {func(r *http.Request) {
			r.Header.Del("X-GitHub-Hook-ID")
			r.Header.Del("X-GitHub-Hook-Installation-Target-ID")
		}, 400},
		"an odd source": {func(r *http.Request) {
			r.Header.Set("X-GitHub-Hook-ID", "1/2")
			r.Header.Set("X-GitHub-Hook-Installation-Target-ID", "x")
		}, 400},
		"JSON that is cut":     {signed(`{"canary":"ZXCVBNM"`), 400},
		"JSON that is a list":  {signed(`["ZXCVBNM"]`), 400},
		"JSON that is a bomb":  {signed(`{"a":` + strings.Repeat("[", 100_000)), 400},
		"signed without body":  {signed(""), 400},
		"signed, but not JSON": {signed("Hello, World!"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var k keeper
			r := post(t, body)
			c.spoil(r)
			w := serve(router(t, k.options()), r)
			if w.Code != c.code {
				t.Fatalf("answered %d %q, want %d", w.Code, w.Body, c.code)
			}
			if len(k.kept) != 0 {
				t.Fatal("it was written")
			}
			if len(k.told) != 1 || k.told[0] != c.code {
				t.Fatalf("counted as %v", k.told)
			}
			if said := w.Body.String() + k.log.String(); strings.Contains(said, "ZXCVBNM") || strings.Contains(said, good[7:]) {
				t.Fatalf("it was repeated: %s", said)
			}
			if c.code != 400 && k.log.Len() != 0 {
				t.Fatalf("anyone can fill the log: %s", k.log.String())
			}
		})
	}
}

func flip(s string) string {
	return s[:len(s)-1] + string("0123456789abcdef"[strings.IndexByte("123456789abcdef0", s[len(s)-1])])
}

// signed puts another body in place, with a good signature.
func signed(body string) func(*http.Request) {
	return func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		r.Header.Set("X-Hub-Signature-256", sign(secret, []byte(body)))
	}
}

// TestTenThousandForgeriesWriteNothing is the spy of the threat model's C03.
func TestTenThousandForgeriesWriteNothing(t *testing.T) {
	t.Parallel()
	var k keeper
	o := k.options()
	o.Metrics = nil
	h := router(t, o)
	for n := range 10_000 {
		r := post(t, `{"n":1}`)
		r.Header.Set("X-Hub-Signature-256", sign(secret+string(rune('a'+n%26)), []byte(`{"n":1}`)))
		if w := serve(h, r); w.Code != http.StatusUnauthorized {
			t.Fatalf("forgery %d: %d", n, w.Code)
		}
	}
	if len(k.kept) != 0 || k.log.Len() != 0 {
		t.Fatalf("%d were written, and %d bytes logged", len(k.kept), k.log.Len())
	}
}

func TestABodyThatIsLargerThanAnnouncedIsCutOff(t *testing.T) {
	t.Parallel()
	var k keeper
	o := k.options()
	o.MaxBody = 1000
	h := router(t, o)
	for size, code := range map[int]int{1000: 202, 1001: 413, 5000: 413} {
		body := `{"a":"` + strings.Repeat("x", size-8) + `"}`
		r := post(t, body)
		r.ContentLength = -1
		if w := serve(h, r); w.Code != code {
			t.Errorf("%d bytes: %d, want %d", size, w.Code, code)
		}
	}
}
