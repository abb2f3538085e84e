package s3

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/artifacttest"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
	"github.com/conveyor-ci/conveyor/test/s3server"
)

func TestItForgetsWhatNobodyNeeds(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	for name, small := range map[string]int64{"AllInPacks": frame.Most, "SomeInPacks": 8, "NothingInPacks": unpacked} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			artifacttest.Collect(t, func(t testing.TB) artifact.Store {
				o := options(server)
				o.Prefix = filepath.Base(t.TempDir()) + t.Name()
				o.Now = func() time.Time { return time.Now().Add(30 * 24 * time.Hour) } // so that all is old
				s := open(t, o)
				s.chunk, s.small, s.wasteful = 16, small, math.MaxInt64 // nothing may be wasted
				return s
			})
		})
	}
}

func TestWhatIsStoredAgainIsYoungAndStays(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	s, other := open(t, options(server)), open(t, options(server)) // two servers
	s.small = unpacked
	m := put(t, s, map[string]string{"a": "a", "b": "b"})
	old := time.Now().Add(-30 * 24 * time.Hour)
	for _, d := range []pipeline.Digest{m.Digest(), m.Files[0].Digest, m.Files[1].Digest} {
		if err := os.Chtimes(file(t, server, blob, d), old, old); err != nil {
			t.Fatal(err)
		}
	}
	foreign := filepath.Join(server.Dir, s3server.Bucket, "blob", "readme")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(foreign, old, old); err != nil {
		t.Fatal(err)
	}
	again := put(t, s, map[string]string{"a": "a"}) // which relies on what was there
	done, err := other.Collect(t.Context(), nil, 0)
	if err != nil || done.Objects != 2 {
		t.Errorf("%+v, %v", done, err)
	}
	if err := whole(t, s, again); err != nil {
		t.Error("what was just stored is gone:", err)
	}
	if err := whole(t, s, m); err == nil {
		t.Error("what is old and needed by nobody is still there")
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error("what is not ours was removed")
	}
}
