package s3

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/artifacttest"
	"github.com/conveyor-ci/conveyor/test/s3server"
)

// TestMain lets properties be tried less often than elsewhere, for each try is a hundred requests. Who asks for more gets them.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := f.Value.Set("15"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	os.Exit(s3server.Main(m))
}

// unpacked is a store that puts nothing into packs, as they all were once.
const unpacked = -1

var everything = []string{"**"}

// traffic sees each request, and cuts off the writes after some of them.
type traffic struct {
	inner http.RoundTripper
	puts  atomic.Int64
	sent  atomic.Int64 // bytes of objects
	most  int64        // writes that are let pass; 0 is all
}

var errCut = errors.New("cut off")

func (c *traffic) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut {
		if n := c.puts.Add(1); c.most > 0 && n > c.most {
			return nil, errCut
		}
		c.sent.Add(r.ContentLength)
	}
	return c.inner.RoundTrip(r)
}

func options(s *s3server.Server) Options {
	return Options{Endpoint: s.Endpoint, Insecure: true, Bucket: s3server.Bucket, Region: "us-east-1", KeyID: s3server.KeyID, Secret: s3server.Secret, Now: time.Now}
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Transport == nil {
		o.Transport = &http.Transport{MaxIdleConnsPerHost: 16}
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t testing.TB, s *Store, files map[string]string) artifact.Manifest {
	t.Helper()
	m, err := s.Put(t.Context(), artifacttest.Write(t, files), everything, artifact.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func whole(t testing.TB, s *Store, m artifact.Manifest) error {
	t.Helper()
	_, err := s.Extract(t.Context(), m.Digest(), filepath.Join(t.TempDir(), "out"), artifact.Limits{})
	return err
}

func TestItKeepsTheContractOfArtifactStores(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	var stores atomic.Int64
	artifacttest.Run(t, func(t testing.TB) artifact.Store {
		o := options(server)
		o.Prefix = fmt.Sprintf("stores/%d", stores.Add(1))
		s := open(t, o)
		s.chunk = 1 << 20 // so that long files have several
		return s
	})
}

func TestWhatIsThereIsNotSentAgainAndACutUploadGoesOn(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	var big strings.Builder
	for n := 0; big.Len() < 8<<17; n++ {
		fmt.Fprintln(&big, "line", n)
	}
	files := map[string]string{"big": big.String(), "small": "x"}
	connect := func(most int64) (*Store, *traffic) {
		c := &traffic{inner: &http.Transport{MaxIdleConnsPerHost: 16}, most: most}
		o := options(server)
		o.Transport, o.Concurrency = c, 1
		s := open(t, o)
		s.chunk = 128 << 10
		return s, c
	}
	first, _ := connect(4)
	if _, err := first.Put(t.Context(), artifacttest.Write(t, files), everything, artifact.Limits{}); !errors.Is(err, errCut) {
		t.Fatalf("the upload was not cut off: %v", err)
	}
	second, rest := connect(0)
	m := put(t, second, files)
	if sent := rest.sent.Load(); sent < 64<<10 || sent > int64(big.Len())*3/4 {
		t.Errorf("of %d bytes, %d were sent after four chunks were there", big.Len(), sent)
	}
	if err := whole(t, second, m); err != nil {
		t.Error(err)
	}
	third, again := connect(0)
	if put(t, third, files).Digest() != m.Digest() {
		t.Error("it has another digest")
	}
	if sent := again.sent.Load(); sent > 4<<10 {
		t.Errorf("%d bytes were sent of what was there", sent)
	}
}

func TestSeveralServersMayStoreTheSameAtOnce(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	files := map[string]string{}
	for n := range 12 {
		files[fmt.Sprint("f", n)] = strings.Repeat(fmt.Sprint(n), 1000*n)
	}
	digests := make([]pipeline.Digest, 3)
	var all sync.WaitGroup
	for i := range digests {
		s := open(t, options(server))
		root := artifacttest.Write(t, files)
		all.Go(func() {
			m, err := s.Put(t.Context(), root, everything, artifact.Limits{})
			if err != nil {
				t.Error(err)
			}
			digests[i] = m.Digest()
		})
	}
	all.Wait()
	for _, d := range digests {
		if d != digests[0] {
			t.Errorf("%v", digests)
		}
	}
}

// file is where the server keeps an object.
func file(t testing.TB, server *s3server.Server, kind string, d pipeline.Digest) string {
	t.Helper()
	return filepath.Join(server.Dir, s3server.Bucket, filepath.FromSlash(kind), strings.TrimPrefix(string(d), "sha256:"))
}

func TestAnObjectThatWasChangedIsRefused(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	s := open(t, options(server))
	s.chunk, s.small = 1<<10, unpacked
	m := put(t, s, map[string]string{"long": strings.Repeat("0123456789", 500), "short": "short"})
	for name, change := range map[string]func() (undo func()){
		"a bit of a short file": func() func() { return rewrite(t, file(t, server, blob, m.Files[1].Digest), "shorT") },
		"a bit of a manifest": func() func() {
			return rewrite(t, file(t, server, blob, m.Digest()), strings.Replace(string(m.Encode()), "short", "shorT", 1))
		},
		"a list of another file": func() func() { return rewrite(t, file(t, server, list, m.Files[0].Digest), strings.Repeat("x", 40)) },
		"an empty list":          func() func() { return rewrite(t, file(t, server, list, m.Files[0].Digest), "") },
		"a chunk that is missing": func() func() {
			return rewrite(t, file(t, server, blob, artifact.DigestOf([]byte(strings.Repeat("0123456789", 500)[:1<<10]))), "\x00gone")
		},
	} {
		undo := change()
		if err := whole(t, s, m); !errors.Is(err, artifact.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		undo()
	}
	if err := whole(t, s, m); err != nil {
		t.Error(err)
	}
}

// rewrite changes an object behind the server's back; "\x00gone" takes it away.
func rewrite(t testing.TB, name, text string) (undo func()) {
	t.Helper()
	old, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if text == "\x00gone" {
		if err := os.Rename(name, name+".gone"); err != nil {
			t.Fatal(err)
		}
		return func() { _ = os.Rename(name+".gone", name) }
	}
	write := func(data []byte) {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write([]byte(text))
	return func() { write(old) }
}

func TestABucketThatCannotBeUsedIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	o := options(server)
	o.Bucket = "missing"
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "has no bucket missing") {
		t.Error(err)
	}
	o = options(server)
	o.Secret = "wrong"
	if _, err := Open(t.Context(), o); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Error(err)
	}
}
