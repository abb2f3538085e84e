package store

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/conveyor-ci/conveyor/pipeline/image"
	"github.com/conveyor-ci/conveyor/test/images"
)

func TestAMirrorIsAskedFirstAndTheRegistryWhenItHasNothing(t *testing.T) {
	t.Parallel()
	var asked, askedMirror requests
	reg, mirror := images.Serve(t, asked.wrap), images.Serve(t, askedMirror.wrap)
	ref, digest := reg.Push("octo/x:1", one(t, "hello"))
	here, _ := reg.Push("octo/y:1", one(t, "only here"))
	mirror.Push("cache/octo/x:1", one(t, "hello"))
	s := open(t, Options{Registries: []string{reg.Host}, Mirrors: map[string][]string{reg.Host: {"127.0.0.1:1", "http://" + mirror.Host + "/cache"}}})
	if h := hold(t, s, ref); h.Digest != digest || asked.manifests.Load() != 0 || asked.blobs.Load() != 0 || askedMirror.blobs.Load() == 0 {
		t.Errorf("%s, the registry was asked %d times", h.Digest, asked.manifests.Load())
	}
	hold(t, s, here)
	if asked.blobs.Load() == 0 {
		t.Error("the registry was not asked for what the mirror does not have")
	}
}

func TestAMirrorInTroubleIsNotThePlansFault(t *testing.T) {
	t.Parallel()
	reg, mirror := images.Serve(t), images.Serve(t)
	for name, c := range map[string]struct {
		mirror string
		fault  bool
	}{"down": {"127.0.0.1:1", false}, "without it": {mirror.Host, true}} {
		s := open(t, Options{Registries: []string{reg.Host}, Mirrors: map[string][]string{reg.Host: {c.mirror}}})
		_, err := s.Resolve(t.Context(), parse(t, reg.Host+"/octo/x:1"))
		if err == nil || errors.Is(err, image.ErrNone) != c.fault || !c.fault && !strings.Contains(err.Error(), "its mirror 127.0.0.1:1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARegistryThatCannotBeAskedForADigestIsAskedForTheManifest(t *testing.T) {
	t.Parallel()
	var refused atomic.Bool
	reg, s := served(t, Options{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Method == http.MethodHead && strings.HasPrefix(q.UserAgent(), "conveyor ") {
				refused.Store(true)
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			next.ServeHTTP(w, q)
		})
	})
	ref, digest := reg.Push("x:1", one(t, "hello"))
	if got, err := s.Resolve(t.Context(), parse(t, ref)); err != nil || got != digest || !refused.Load() {
		t.Errorf("%s, %v", got, err)
	}
}

func TestDockersOwnRegistryHasOneMirrorUnderBothItsNames(t *testing.T) {
	t.Parallel()
	mirror := images.Serve(t)
	_, digest := mirror.Push("library/node:20", one(t, "node"))
	s := open(t, Options{Registries: []string{"docker.io"}, Mirrors: map[string][]string{"docker.io": {mirror.Host}}})
	for _, ref := range []string{"node:20", "docker.io/library/node:20", "index.docker.io/library/node:20"} {
		if got, err := s.Resolve(t.Context(), parse(t, ref)); err != nil || got != digest {
			t.Errorf("%s is %s, %v", ref, got, err)
		}
	}
}

func TestAPlanReachesNoAddressOfThisMachinesNetwork(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	t.Cleanup(inner.Close)
	host := strings.TrimPrefix(inner.URL, "http://")
	port := host[strings.LastIndex(host, ":"):]
	s := open(t, Options{})
	for _, ref := range []string{host + "/x:1", "localhost" + port + "/x:1", "[::ffff:127.0.0.1]" + port + "/x:1", "169.254.169.254/latest/x:1", "10.0.0.1/x:1", "100.64.0.1:80/x:1", "0.0.0.0" + port + "/x:1"} {
		r, err := image.Parse(ref)
		if err != nil {
			continue // no name of an image, and so no way either
		}
		if _, err := s.Resolve(t.Context(), r); !errors.Is(err, image.ErrRefused) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	listed := open(t, Options{Registries: []string{"ghcr.io"}})
	if _, err := listed.Resolve(t.Context(), parse(t, "quay.io/x:1")); !errors.Is(err, image.ErrRefused) || !strings.Contains(err.Error(), "CONVEYOR_IMAGE_REGISTRIES") {
		t.Errorf("%v", err)
	}
	elsewhere := httptest.NewServer(http.RedirectHandler(inner.URL+"/v2/", http.StatusTemporaryRedirect))
	t.Cleanup(elsewhere.Close)
	from := strings.TrimPrefix(elsewhere.URL, "http://")
	if _, err := open(t, Options{Registries: []string{from}}).Resolve(t.Context(), parse(t, from+"/x:1")); !errors.Is(err, image.ErrRefused) {
		t.Errorf("a registry that sends elsewhere: %v", err)
	}
	if reached.Load() {
		t.Error("a plan reached a server of this machine")
	}
}

func TestALoginGoesToItsRegistryOnly(t *testing.T) {
	t.Parallel()
	var denied atomic.Int64
	needs := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if user, password, _ := q.BasicAuth(); user != "octo" || password != "hunter2" {
				denied.Add(1)
				w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, q)
		})
	}
	reg := images.Serve(t)
	ref, digest := reg.Push("x:1", one(t, "hello"))
	var stranger http.Header
	closed := httptest.NewServer(needs(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/v2/" {
			return
		}
		http.Redirect(w, q, reg.URL+q.URL.Path, http.StatusTemporaryRedirect)
	})))
	t.Cleanup(closed.Close)
	host := strings.TrimPrefix(closed.URL, "http://")
	ref = strings.Replace(ref, reg.Host, host, 1)
	file := filepath.Join(t.TempDir(), "config.json")
	auth := base64.StdEncoding.EncodeToString([]byte("octo:hunter2"))
	if err := os.WriteFile(file, []byte(`{"auths": {"`+host+`": {"auth": "`+auth+`"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	hosts := []string{host, reg.Host}
	if _, err := open(t, Options{Registries: hosts}).Resolve(t.Context(), parse(t, ref)); !errors.Is(err, image.ErrNone) || !strings.Contains(err.Error(), "CONVEYOR_IMAGE_AUTH_FILE") {
		t.Errorf("without the login: %v", err)
	}
	if got, err := open(t, Options{Registries: hosts, AuthFile: file}).Resolve(t.Context(), parse(t, ref)); err != nil || got != digest {
		t.Errorf("with the login: %s, %v", got, err)
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Authorization") != "" {
			stranger = q.Header.Clone()
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(other.Close)
	away := strings.TrimPrefix(other.URL, "http://")
	if _, err := open(t, Options{Registries: []string{away}, AuthFile: file}).Resolve(t.Context(), parse(t, away+"/x:1")); !errors.Is(err, image.ErrNone) || stranger != nil {
		t.Errorf("another registry got %v, %v", stranger, err)
	}
	if err := os.WriteFile(file, []byte(`{"auths": "hunter2`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, Options{Registries: hosts, AuthFile: file}).Resolve(t.Context(), parse(t, ref)); err == nil || errors.Is(err, image.ErrNone) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a broken file of logins: %v", err)
	}
}

// files are images in a folder of the operator's.
func files(t *testing.T, img v1.Image) (dir string) {
	t.Helper()
	dir = t.TempDir()
	tag, err := name.NewTag("x:1")
	if err == nil {
		err = tarball.WriteToFile(filepath.Join(dir, "x.tar"), tag, img)
	}
	if err != nil {
		t.Fatal(err)
	}
	path, err := layout.Write(filepath.Join(dir, "x"), empty.Index)
	if err == nil {
		err = path.AppendImage(img, layout.WithPlatform(platform))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAFileOfTheOperatorsIsAnImageToo(t *testing.T) {
	t.Parallel()
	dir := files(t, one(t, "from a file"))
	s := open(t, Options{Folders: []string{dir}})
	for _, ref := range []string{"tarball:" + dir + "/x.tar", "oci:" + dir + "/x"} {
		h := hold(t, s, ref)
		if text, err := os.ReadFile(filepath.Join(h.Layers[0], "text")); err != nil || string(text) != "from a file" {
			t.Errorf("%s: %q, %v", ref, text, err)
		}
	}
}

func TestAFileThatChangesInTheMiddleOfARunIsRefused(t *testing.T) {
	t.Parallel()
	dir := files(t, one(t, "before"))
	s := open(t, Options{Folders: []string{dir}})
	ref := parse(t, "tarball:"+dir+"/x.tar")
	digest, err := s.Resolve(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(files(t, one(t, "after")), "x.tar"), filepath.Join(dir, "x.tar")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Hold(t.Context(), ref, digest, nil); !errors.Is(err, image.ErrRefused) || !strings.Contains(err.Error(), "has changed") {
		t.Errorf("%v", err)
	}
}

func TestNoOtherFileOfThisMachineIsReadForAPlan(t *testing.T) {
	t.Parallel()
	dir, away := files(t, one(t, "x")), files(t, one(t, "away"))
	if err := errors.Join(os.Symlink(filepath.Join(away, "x.tar"), filepath.Join(dir, "link.tar")), os.Symlink(filepath.Join(away, "x"), filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Folders: []string{dir}})
	for ref, fault := range map[string]error{
		"tarball:" + away + "/x.tar": image.ErrRefused, "oci:" + away + "/x": image.ErrRefused, "tarball:" + dir + "-else/x.tar": image.ErrRefused,
		"oci:" + dir + "/link": image.ErrRefused, "tarball:" + dir + "/link.tar": image.ErrRefused, "tarball:" + dir + "/x": image.ErrRefused,
		"tarball:" + dir + "/none.tar": image.ErrNone, "oci:" + dir + "/none": image.ErrNone,
	} {
		if digest, err := s.Resolve(t.Context(), parse(t, ref)); !errors.Is(err, fault) {
			t.Errorf("%s is %s, %v", ref, digest, err)
		}
	}
	if digest, err := open(t, Options{}).Resolve(t.Context(), parse(t, "tarball:"+dir+"/x.tar")); !errors.Is(err, image.ErrRefused) {
		t.Errorf("without a setting: %s, %v", digest, err)
	}
}
