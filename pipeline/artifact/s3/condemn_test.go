package s3

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/artifacttest"
	"github.com/conveyor-ci/conveyor/test/s3server"
)

// pass lets days go by for all that is in packs, and for their marks.
func pass(t testing.TB, server *s3server.Server, days int) {
	t.Helper()
	all, marks := packFiles(t, server)
	for _, name := range append(all, marks...) {
		st, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		then := st.ModTime().Add(-time.Duration(days) * 24 * time.Hour)
		if err := os.Chtimes(name, then, then); err != nil {
			t.Fatal(err)
		}
	}
}

func collect(t testing.TB, s *Store, keep ...artifact.Manifest) artifact.Collected {
	t.Helper()
	var names []pipeline.Digest
	for _, m := range keep {
		names = append(names, m.Digest())
	}
	done, err := s.Collect(t.Context(), names, 0)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// shared stores two artifacts that share contents in the pack of the first.
func shared(t testing.TB, s *Store) (first, second artifact.Manifest) {
	t.Helper()
	first = put(t, s, map[string]string{"shared": noise(1, 2000), "one": noise(2, 9000)})
	second = put(t, s, map[string]string{"shared": noise(1, 2000), "two": noise(3, 2000)})
	return first, second
}

func TestWhatIsSharedStaysWhenItsPackIsRemoved(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	s, other := open(t, options(server)), open(t, options(server))
	first, second := shared(t, s)
	if err := whole(t, other, second); err != nil { // so that it knows where all is
		t.Fatal(err)
	}
	if done := collect(t, s, second); done.Objects != 0 {
		t.Errorf("what is young was removed: %+v", done)
	}
	pass(t, server, 3)
	if done := collect(t, s, second); done.Objects != 0 {
		t.Errorf("it was removed before it was condemned for the grace: %+v", done)
	}
	if _, marks := packFiles(t, server); len(marks) != 1 {
		t.Errorf("of two packs, of which one is wasteful, %d are condemned", len(marks))
	}
	pass(t, server, 3)
	if done := collect(t, s, second); done.Objects != 1 || done.Bytes < 11_000 {
		t.Errorf("%+v", done)
	}
	for i, s := range []*Store{s, other, open(t, options(server))} {
		if err := whole(t, s, second); err != nil {
			t.Errorf("store %d: what is kept is not whole: %v", i, err)
		}
		if err := whole(t, s, first); !errors.Is(err, artifact.ErrNotFound) {
			t.Errorf("store %d: what is not needed is there: %v", i, err)
		}
	}
	if all, marks := packFiles(t, server); len(all) != 2 || len(marks) != 0 {
		t.Errorf("%d packs and %d marks are left", len(all), len(marks))
	}
}

func TestAPackOfWhichLittleIsWastedStaysAsItIs(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	s := open(t, options(server))
	put(t, s, map[string]string{"most": noise(1, 9000), "little": noise(2, 1000)})
	m := put(t, s, map[string]string{"most": noise(1, 9000)})
	pass(t, server, 3)
	collect(t, s, m)
	if all, marks := packFiles(t, server); len(all) != 2 || len(marks) != 0 {
		t.Errorf("%d packs, %d condemned", len(all), len(marks))
	}
}

func TestManySmallPacksBecomeOne(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	s := open(t, options(server))
	var keep []artifact.Manifest
	for n := range mergeFrom + 2 {
		keep = append(keep, put(t, s, map[string]string{"f": noise(uint64(n), 500)}))
	}
	for range 2 {
		pass(t, server, 3)
		collect(t, s, keep...)
	}
	if all, marks := packFiles(t, server); len(all) != 1 || len(marks) != 0 {
		t.Errorf("%d packs, %d condemned", len(all), len(marks))
	}
	for _, m := range keep {
		if err := whole(t, s, m); err != nil {
			t.Error(err)
		}
	}
}

// A writer has listed the packs, and waits with what it sends while another server condemns the pack that it relies on. When
// that pack goes, what the writer has stored is known, and stays whole. A writer that comes later does not rely on the pack.
func TestWhatAPutReliesOnIsCondemnedMeanwhileAndStays(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	put(t, open(t, options(server)), map[string]string{"shared": noise(1, 9000), "one": noise(2, 9000)})
	pass(t, server, 3)
	collector := open(t, options(server))
	once := false
	slow, _ := watched(t, server, func(r *http.Request) error {
		if r.Method == http.MethodPut && !once {
			once = true
			collect(t, collector)
		}
		return nil
	})
	early := put(t, slow, map[string]string{"shared": noise(1, 9000), "new": "new"})
	if _, marks := packFiles(t, server); !once || len(marks) != 1 {
		t.Fatalf("%d packs are condemned", len(marks))
	}
	c := &traffic{inner: &http.Transport{}}
	o := options(server)
	o.Transport = c
	late := put(t, open(t, o), map[string]string{"one": noise(2, 9000)})
	if sent := c.sent.Load(); sent < 9000 {
		t.Errorf("%d bytes were sent of what is only in a condemned pack", sent)
	}
	pass(t, server, 3)
	if done := collect(t, collector, early, late); done.Objects != 1 {
		t.Errorf("%+v", done)
	}
	for _, m := range []artifact.Manifest{early, late} {
		if err := whole(t, open(t, options(server)), m); err != nil {
			t.Error(err)
		}
	}
}

// Whatever request of a Collect is the last that arrives: what is kept is whole, and the next Collect ends what was begun.
func TestACollectThatDiesAnywhereLosesNothing(t *testing.T) {
	t.Parallel()
	for n := int64(0); ; n++ {
		server := s3server.Start(t)
		_, second := shared(t, open(t, options(server)))
		ended := 0
		for range 2 {
			pass(t, server, 3)
			var done atomic.Int64
			s, _ := watched(t, server, func(r *http.Request) error {
				if r.Method != http.MethodGet && r.Method != http.MethodHead && done.Add(1) > n {
					return errCut
				}
				return nil
			})
			if _, err := s.Collect(t.Context(), []pipeline.Digest{second.Digest()}, 0); err == nil {
				ended++
			}
			if err := whole(t, open(t, options(server)), second); err != nil {
				t.Fatalf("after %d requests: %v", n, err)
			}
		}
		s := open(t, options(server))
		for range 2 {
			pass(t, server, 3)
			collect(t, s, second)
		}
		if all, marks := packFiles(t, server); len(all) > 2 || len(marks) > 0 {
			t.Errorf("after %d requests, and all: %d packs, %d marks", n, len(all), len(marks))
		}
		if err := whole(t, s, second); err != nil {
			t.Fatalf("after %d requests, and all: %v", n, err)
		}
		if ended == 2 {
			if n == 0 {
				t.Error("nothing was ever cut off")
			}
			return
		}
	}
}

func TestTwoCollectsAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	var keep []artifact.Manifest
	s := open(t, options(server))
	for n := range 6 {
		first := put(t, s, map[string]string{"f": noise(uint64(n), 3000), "g": noise(uint64(100+n), 9000)})
		if n%2 == 0 {
			keep = append(keep, first)
			continue
		}
		keep = append(keep, put(t, s, map[string]string{"f": noise(uint64(n), 3000), "h": fmt.Sprint(n)}))
	}
	for range 3 {
		pass(t, server, 3)
		ended := make(chan error, 2)
		for range cap(ended) {
			s := open(t, options(server))
			go func() {
				var names []pipeline.Digest
				for _, m := range keep {
					names = append(names, m.Digest())
				}
				_, err := s.Collect(t.Context(), names, 0)
				ended <- err
			}()
		}
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		for _, m := range keep {
			if err := whole(t, open(t, options(server)), m); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestNothingIsRemovedWhenADamagedPackMayHoldWhatIsNeeded(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	m := put(t, open(t, options(server)), map[string]string{"f": noise(1, 3000)})
	all, _ := packFiles(t, server)
	data, err := os.ReadFile(all[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(all[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	pass(t, server, 9)
	s := open(t, options(server))
	if _, err := s.Collect(t.Context(), []pipeline.Digest{m.Digest()}, 0); !errors.Is(err, artifact.ErrCorrupt) || !strings.Contains(err.Error(), "nothing is removed") {
		t.Error(err)
	}
	if _, marks := packFiles(t, server); len(marks) > 0 {
		t.Error("it is condemned")
	}
	put(t, s, map[string]string{"f": noise(1, 3000)})
	for range 2 {
		collect(t, s, m)
		pass(t, server, 3)
	}
	if err := whole(t, s, m); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(all[0]); !errors.Is(err, os.ErrNotExist) {
		t.Error("nothing in it is needed any more, and it is still there")
	}
}

func TestAPutThatTakesMoreThanADayFails(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	o := options(server)
	calls := 0
	o.Now = func() time.Time { calls++; return time.Now().Add(time.Duration(calls) * 25 * time.Hour) }
	if _, err := open(t, o).Put(t.Context(), artifacttest.Write(t, map[string]string{"a": "a"}), everything, artifact.Limits{}); err == nil || !strings.Contains(err.Error(), "store it again") {
		t.Error(err)
	}
}
