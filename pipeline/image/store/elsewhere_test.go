package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/image"
	"github.com/conveyor-ci/conveyor/pipeline/image/store"
	"github.com/conveyor-ci/conveyor/test/images"
)

func TestWhatOthersKeepIsExaminedBeforeTheyPullIt(t *testing.T) {
	t.Parallel()
	reg, other := images.Serve(t), images.Serve(t)
	name, digest := reg.Push("tiny:1", images.Image(t, nil, images.Layer(t, images.Entry{Name: "x", Text: strings.Repeat("x", 1000)})))
	auth := filepath.Join(t.TempDir(), "config.json")
	login := fmt.Sprintf(`{"auths":{%q:{"auth":"dXNlcjp3b3Jk"}}}`, reg.Host) // user:word
	if err := os.WriteFile(auth, []byte(login), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(most int64) *store.Store {
		s, err := store.OpenElsewhere(store.Options{Registries: []string{reg.Host}, AuthFile: auth, MaxBytes: most})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	ref := func(text string) image.Ref {
		r, err := image.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	s := open(0)
	if got, err := s.Resolve(t.Context(), ref(name)); err != nil || got != digest {
		t.Errorf("%s, %v", got, err)
	}
	p, err := s.Examine(t.Context(), ref(name), digest)
	if err := errors.Join(err, s.Allowed(ref(name))); err != nil || !slices.Equal(p.Entrypoint, []string{"/no/such/entrypoint"}) || p.Dir != "/nowhere" {
		t.Errorf("%+v, %v", p, err)
	}
	for _, text := range []string{other.Host + "/tiny:1", "tarball:/srv/tiny.tar", "oci:/srv/tiny"} {
		if err := s.Allowed(ref(text)); !errors.Is(err, image.ErrRefused) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := s.Examine(t.Context(), ref(name), "sha256:"+strings.Repeat("a", 64)); !errors.Is(err, image.ErrNone) {
		t.Errorf("an image that is not there: %v", err)
	}
	if _, err := open(10).Examine(t.Context(), ref(name), digest); !errors.Is(err, image.ErrRefused) {
		t.Errorf("an image that is too large: %v", err)
	}
	l, err := s.Login(ref(name))
	if err != nil || l.User != "user" || l.Password != "word" || l.Registry != reg.Host {
		t.Errorf("%q, %v", l.User, err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", l, l, l, l); strings.Contains(text, "word") {
		t.Errorf("a login is printed: %s", text)
	}
	if l, err := s.Login(ref("ghcr.io/octo/x:1")); err != nil || l.User != "" || l.Password != "" {
		t.Errorf("the login of one registry goes to another: %v", err)
	}
}
