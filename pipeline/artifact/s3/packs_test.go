package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/artifacttest"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
	"github.com/conveyor-ci/conveyor/test/s3server"
)

// noise is text that does not compress, so that what is stored is as long as it is.
func noise(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// watch is a transport that hands each request to a function, which may refuse it.
type watch struct {
	inner http.RoundTripper
	see   func(r *http.Request) error
	got   atomic.Int64 // bytes of packs that came
}

func (w *watch) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.see != nil {
		if err := w.see(r); err != nil {
			return nil, err
		}
	}
	answer, err := w.inner.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/"+packs) {
		w.got.Add(answer.ContentLength)
	}
	return answer, err
}

// watched opens a store behind a watch.
func watched(t testing.TB, server *s3server.Server, see func(r *http.Request) error) (*Store, *watch) {
	t.Helper()
	w := &watch{inner: &http.Transport{MaxIdleConnsPerHost: 16}, see: see}
	o := options(server)
	o.Transport = w
	return open(t, o), w
}

// packFiles are where the server keeps packs, and their marks.
func packFiles(t testing.TB, server *s3server.Server) (all, marks []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(server.Dir, s3server.Bucket, "pack", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, condemned) {
			marks = append(marks, name)
		} else {
			all = append(all, name)
		}
	}
	return all, marks
}

func TestManySmallFilesAreFewRequestsAndFewBytes(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	files := map[string]string{}
	for n := range 300 {
		files[fmt.Sprintf("d%d/f%d", n%7, n)] = strings.Repeat(fmt.Sprintln("line", n), 50)
	}
	c := &traffic{inner: &http.Transport{MaxIdleConnsPerHost: 16}}
	o := options(server)
	o.Transport = c
	m := put(t, open(t, o), files)
	if puts, sent := c.puts.Load(), c.sent.Load(); puts != 1 || sent > m.Size()*2/3 {
		t.Errorf("%d files of %d bytes took %d requests and %d bytes", len(files), m.Size(), puts, sent)
	}
	put(t, open(t, o), files)
	if puts := c.puts.Load(); puts != 1 {
		t.Errorf("what is there was sent again, in %d requests", puts-1)
	}
	files["d1/f1"] = "new"
	put(t, open(t, o), files)
	if puts, sent := c.puts.Load(), c.sent.Load(); puts != 2 || sent > m.Size() {
		t.Errorf("one new file made %d requests and %d bytes of all", puts, sent)
	}
}

func TestAPutThatIsKilledWithinAPackLeavesNothingOfItAndGoesOn(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	files := map[string]string{}
	for n := range 40 {
		files[fmt.Sprint("f", n)] = noise(uint64(n), 10_000)
	}
	var begun atomic.Int64
	first, _ := watched(t, server, func(r *http.Request) error {
		if r.Method != http.MethodPut || begun.Add(1) <= 2 {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), cut{}))
		return nil
	})
	first.packSize, first.slots = 100_000, make(chan struct{}, 1)
	if _, err := first.Put(t.Context(), artifacttest.Write(t, files), everything, artifact.Limits{}); !errors.Is(err, errCut) {
		t.Fatalf("it was not cut off: %v", err)
	}
	whole1, _ := packFiles(t, server)
	if len(whole1) != 2 {
		t.Fatalf("two packs were whole: %q", whole1)
	}
	c := &traffic{inner: &http.Transport{MaxIdleConnsPerHost: 16}}
	o := options(server)
	o.Transport = c
	second := open(t, o)
	m := put(t, second, files)
	if sent := c.sent.Load(); sent < 150_000 || sent > 250_000 {
		t.Errorf("of 400,000 bytes, of which two packs of 100,000 were there, %d were sent", sent)
	}
	if err := whole(t, second, m); err != nil {
		t.Error(err)
	}
	if err := second.shelf.damaged(); err != nil {
		t.Error(err)
	}
}

type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, errCut }

func TestOneFileIsReadWithoutTheRestOfItsPack(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	files := map[string]string{}
	for n := range 50 {
		files[fmt.Sprintf("f%02d", n)] = noise(uint64(n), 20_000)
	}
	m := put(t, open(t, options(server)), files)
	s, w := watched(t, server, nil)
	got, err := artifacttest.Content(t.Context(), s, m.Files[17])
	if err != nil || got != files["f17"] {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if n := w.got.Load(); n < 20_000 || n > 25_000 {
		t.Errorf("for one file of 20,000 bytes and the index, %d bytes were read of a pack of a million", n)
	}
	var gets atomic.Int64
	s, _ = watched(t, server, func(r *http.Request) error {
		if r.Method == http.MethodGet && r.Header.Get("Range") != "" {
			gets.Add(1)
		}
		return nil
	})
	if err := whole(t, s, m); err != nil {
		t.Error(err)
	}
	if n := gets.Load(); n > 4 {
		t.Errorf("all of a pack was read in %d requests", n)
	}
}

func TestAFlippedBitInAPackIsNamedAndIsHealedByStoringAgain(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	files := map[string]string{}
	for n := range 10 {
		files[fmt.Sprint("f", n)] = noise(uint64(n), 1000)
	}
	s := open(t, options(server))
	m := put(t, s, files)
	all, _ := packFiles(t, server)
	data, err := os.ReadFile(all[0])
	if err != nil {
		t.Fatal(err)
	}
	k := frame.KeyOf(sumOf(t, m.Files[3]))
	at, _ := s.shelf.find(k)
	flip := func(i int) {
		changed := bytes.Clone(data)
		changed[i] ^= 4
		if err := os.WriteFile(all[0], changed, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for what, i := range map[string]int{"the head": int(at.offset) + 14, "the payload": int(at.offset) + frame.HeadSize + 500} {
		flip(i)
		fresh := open(t, options(server))
		err := whole(t, fresh, m)
		if !errors.Is(err, artifact.ErrCorrupt) || !strings.Contains(err.Error(), "pack/"+filepath.Base(all[0])) || !strings.Contains(err.Error(), `"f3"`) {
			t.Errorf("a bit of %s: %v", what, err)
		}
		if got, err := artifacttest.Content(t.Context(), fresh, m.Files[4]); err != nil || got != files["f4"] {
			t.Errorf("a bit of %s: another file: %v", what, err)
		}
		put(t, fresh, files)
		if err := whole(t, fresh, m); err != nil {
			t.Errorf("a bit of %s: it was stored again: %v", what, err)
		}
		later, _ := packFiles(t, server)
		for _, name := range later {
			if name != all[0] {
				if err := os.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	flip(len(data) - 30) // within the index
	fresh := open(t, options(server))
	if err := whole(t, fresh, m); !errors.Is(err, artifact.ErrCorrupt) || !strings.Contains(err.Error(), "the index of the pack pack/"+filepath.Base(all[0])) {
		t.Error(err)
	}
	put(t, fresh, files)
	if err := whole(t, fresh, m); err != nil {
		t.Errorf("it was stored again: %v", err)
	}
}

func sumOf(t testing.TB, f artifact.File) sum256 {
	t.Helper()
	sum, ok := frame.ParseDigest(f.Digest)
	if !ok {
		t.Fatalf("%q", f.Digest)
	}
	return sum
}

func TestBucketsFromBeforeThereWerePacksStayReadable(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	before := open(t, options(server))
	before.small, before.chunk = unpacked, 1000
	files := map[string]string{"a": "a", "empty": "", "long": noise(1, 5000)}
	m := put(t, before, files)
	s := open(t, options(server))
	if err := whole(t, s, m); err != nil {
		t.Error(err)
	}
	files["new"] = "new"
	both := put(t, s, files)
	if err := whole(t, open(t, options(server)), both); err != nil {
		t.Error(err)
	}
	if done, err := s.Collect(t.Context(), nil, 0); err != nil || done.Objects != 0 {
		t.Errorf("what is young was removed: %+v, %v", done, err)
	}
}

func TestTwoServersFindWhatTheOtherHasStored(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	one, two := open(t, options(server)), open(t, options(server))
	var all sync.WaitGroup
	for i, s := range []*Store{one, two} {
		all.Go(func() {
			for n := range 5 {
				root := artifacttest.Write(t, map[string]string{"same": noise(uint64(n), 3000), "own": fmt.Sprint(i, n)})
				m, err := s.Put(t.Context(), root, everything, artifact.Limits{})
				if err == nil {
					_, err = []*Store{two, one}[i].Extract(t.Context(), m.Digest(), filepath.Join(t.TempDir(), "out"), artifact.Limits{})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
