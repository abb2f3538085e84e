package github

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestWhatIsKeptHasABound(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	k := newKept(func() time.Time { return now })
	key := func(n int) keptKey { return keptKey{repo: 1, head: pipeline.Commit(fmt.Sprint(n))} }
	big := func(title string) Comparison { return Comparison{Total: 1, Commits: []Commit{{Title: title}}} }
	megabyte := strings.Repeat("x", 1<<20)
	for n := range 10 {
		k.keep(key(n), big(megabyte))
		if _, ok := k.find(key(0), 1); !ok { // which keeps it from being the oldest
			t.Fatalf("what is in use was forgotten for number %d", n)
		}
		if k.bytes > keptBytes || k.order.Len() != len(k.byKey) {
			t.Fatalf("%d bytes in %d and %d entries", k.bytes, k.order.Len(), len(k.byKey))
		}
	}
	if _, ok := k.find(key(1), 1); ok || k.order.Len() != 3 {
		t.Errorf("%d are kept, and one that nobody wanted since", k.order.Len())
	}
	k.keep(key(0), big(strings.Repeat("x", keptBytes+1)))
	if _, ok := k.find(key(0), 1); ok {
		t.Error("what is bigger than all the room is kept")
	}
	now = now.Add(keptFor)
	for n := range 10 {
		if _, ok := k.find(key(n), 1); ok {
			t.Errorf("number %d is kept for longer than its time", n)
		}
	}
	if k.bytes != 0 || k.order.Len() != 0 {
		t.Errorf("%d bytes are left of nothing", k.bytes)
	}
}
