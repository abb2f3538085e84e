package github

import (
	"container/list"
	"slices"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

const (
	keptBytes = 4 << 20   // about so much is kept for each installation
	keptFor   = time.Hour // who a commit's author is can change, when a person gives GitHub another address
)

// kept remembers what full commit ids make immutable, so that GitHub is asked once: a promotion is compared for each
// environment that it comes to. What is not of that kind is never put in: a pull request, a branch and a role are asked for
// anew. Repositories are known by their numbers, because names change hands. It is safe for use by many goroutines.
type kept struct {
	now func() time.Time

	mu    sync.Mutex
	byKey map[keptKey]*list.Element
	order *list.List // of keptEntry; what was used last comes first
	bytes int
}

// keptKey names a comparison, or a single commit when there is no base.
type keptKey struct {
	repo       int64
	base, head pipeline.Commit
}

type keptEntry struct {
	key   keptKey
	value Comparison
	bytes int
	since time.Time
}

func newKept(now func() time.Time) *kept {
	return &kept{now: now, byKey: map[keptKey]*list.Element{}, order: list.New()}
}

// find returns what is kept, when it holds so many commits, or all there are.
func (k *kept) find(key keptKey, most int) (Comparison, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.byKey[key]
	if at == nil {
		return Comparison{}, false
	}
	e := at.Value.(keptEntry)
	if k.now().Sub(e.since) >= keptFor {
		k.drop(at)
		return Comparison{}, false
	}
	if len(e.value.Commits) < min(most, e.value.Total) {
		return Comparison{}, false
	}
	k.order.MoveToFront(at)
	found := e.value
	found.Commits = slices.Clone(found.Commits) // the caller's own
	return found, true
}

// keep takes the place of what was kept of the same key. What has not been used for longest makes room.
func (k *kept) keep(key keptKey, value Comparison) {
	value.Commits = slices.Clone(value.Commits)
	e := keptEntry{key: key, value: value, bytes: weight(value), since: k.now()}
	k.mu.Lock()
	defer k.mu.Unlock()
	if at := k.byKey[key]; at != nil {
		k.drop(at)
	}
	if e.bytes > keptBytes {
		return
	}
	for k.bytes+e.bytes > keptBytes {
		k.drop(k.order.Back())
	}
	k.byKey[key] = k.order.PushFront(e)
	k.bytes += e.bytes
}

func (k *kept) drop(at *list.Element) {
	e := k.order.Remove(at).(keptEntry)
	delete(k.byKey, e.key)
	k.bytes -= e.bytes
}

// weight is about how much memory a comparison takes.
func weight(c Comparison) int {
	bytes := 300
	for _, k := range c.Commits {
		bytes += 150 + len(k.Title) + len(k.Author)
		for _, p := range k.People {
			bytes += 50 + len(p.Login)
		}
	}
	return bytes
}
