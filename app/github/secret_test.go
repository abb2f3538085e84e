package github_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/app/github"
)

const canary = "ghs_canary0001.abcdefghijklmnop"

func TestASecretIsShownByNoWayOfPrinting(t *testing.T) {
	t.Parallel()
	const word = "hunter2-hunter2"
	for _, s := range []any{github.NewSecret(word), &[]github.Secret{github.NewSecret(word)}[0], github.Token{Value: github.NewSecret(word)}, github.Credentials{PEM: github.NewSecret(word)}} {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s)
		encoded, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		shown := fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s) + log.String() + string(encoded)
		if strings.Contains(shown, word) || strings.Contains(shown, fmt.Sprintf("%x", word)) {
			t.Errorf("%T is shown: %s", s, shown)
		}
	}
}

func TestNeitherTokenNorKeyReachesAnErrorOrALog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var shown strings.Builder
	for _, status := range []int{200, 202, 301, 400, 401, 403, 404, 409, 410, 422, 429, 500, 502} {
		s := newStub(t, func(w http.ResponseWriter, r *http.Request) { // says back all that it is told
			w.Header().Set("Location", "/api/v3/x?"+r.Header.Get("Authorization"))
			w.Header().Set("X-Bad", r.Header.Get("Authorization"))
			w.WriteHeader(status)
			said, _ := json.Marshal(r.Header.Get("Authorization"))
			fmt.Fprintf(w, `{"message":%s,"errors":[{"message":%s}],"id":%s}`, said, said, said)
		})
		app := s.app(t, func(c *github.Config) {
			c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		in, ctx := app.Installation(installation), testContext(t)
		_, e1 := in.Pull(ctx, shop, 3)
		_, _, e2 := in.UpsertCheck(ctx, shop, check())
		_, e3 := in.UpsertDeployment(ctx, shop, github.Deployment{Name: "d", Environment: "e", Commit: sha})
		_, e4 := in.Self(ctx)
		_, e5 := in.Role(ctx, shop, "ada", 9)
		token, _ := in.Token(ctx, shop, "run/1")
		for i, err := range []error{e1, e2, e3, e4, e5} {
			if err == nil && i < 4 { // whoever is not found has no role, without an error
				t.Errorf("%d was taken for good by call %d", status, i+1)
			}
			fmt.Fprintf(&shown, "%v %+v %#v\n", err, err, err)
		}
		fmt.Fprintf(&shown, "%v %+v %v %+v %#v", app, in, token, token, token)
	}
	all := shown.String() + log.String()
	block, _ := pem.Decode(keyPEM())
	for name, secret := range map[string]string{"token": canary, "part of a token": "abcdefghijklmnop", "JWT": "eyJ", "key": key().D.String()[:20], "DER": fmt.Sprint(block.Bytes[20:40])} {
		if i := strings.Index(all, secret); i >= 0 {
			t.Errorf("the %s is shown: …%s…", name, all[max(0, i-100):i+10])
		}
	}
}
