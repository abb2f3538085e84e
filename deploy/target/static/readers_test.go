package static_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy/target/static"
	"github.com/conveyor-ci/conveyor/deploy/target/targettest"
)

// TestReadersNeverSeeAGap reads the site without pause while it is switched 2,000 times.
func TestReadersNeverSeeAGap(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	s := open(t, static.Options{Base: base})
	p := place(base)
	root := folder(base, "staging")
	var releases []string
	for n := 1; n <= 2; n++ {
		if err := s.Deploy(t.Context(), p.Deployment("staging", n, 1), targettest.Site(n).Files); err != nil {
			t.Fatal(err)
		}
		to, err := os.Readlink(filepath.Join(root, "current"))
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, filepath.Base(to))
	}
	var readers sync.WaitGroup
	var stop atomic.Bool
	var reads [2]int
	for i := range reads {
		readers.Go(func() {
			for ; !stop.Load(); reads[i]++ {
				b, err := os.ReadFile(filepath.Join(root, "current", "index.html"))
				if err != nil || !strings.HasPrefix(string(b), "<p>version ") {
					t.Errorf("read %d: %q, %v", reads[i], b, err)
					return
				}
			}
		})
	}
	d := p.Deployment("staging", 1, 1)
	for n := range 2000 {
		if err := s.Swap(d, releases[n%2]); err != nil {
			t.Error(err)
			break
		}
	}
	stop.Store(true)
	readers.Wait()
	if reads[0]+reads[1] < 100 {
		t.Fatalf("only %d reads happened; the test proves nothing", reads[0]+reads[1])
	}
	t.Logf("%d reads while 2000 switches", reads[0]+reads[1])
}

// TestReadersNeverSeeAGapOverWholeDeployments does the same with deployments that stage and prune, too.
func TestReadersNeverSeeAGapOverWholeDeployments(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	s := open(t, static.Options{Base: base, Keep: 1})
	p := place(base)
	deploy := func(n int) {
		if err := s.Deploy(t.Context(), p.Deployment("staging", n, int64(n)), targettest.Site(n).Files); err != nil {
			t.Error(err)
		}
	}
	deploy(1)
	var reader sync.WaitGroup
	var stop atomic.Bool
	reader.Go(func() {
		for !stop.Load() {
			if _, err := os.ReadFile(filepath.Join(folder(base, "staging"), "current", "index.html")); err != nil {
				t.Errorf("a reader saw a gap: %v", err)
				return
			}
		}
	})
	for n := 2; n <= 30; n++ {
		deploy(n)
	}
	stop.Store(true)
	reader.Wait()
}
