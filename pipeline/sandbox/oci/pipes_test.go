package oci

import (
	"testing"
	"time"
)

func TestAFloodOfOutputIsReadAtAPaceAndALargeLogIsNot(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	f := flood{left: floodStore, at: now}
	for range floodStore / chunkSize {
		if wait := f.pause(chunkSize, now); wait != 0 {
			t.Fatal("a large log was read slowly")
		}
	}
	began := now
	for range 4 * floodPerSec / chunkSize {
		now = now.Add(f.pause(chunkSize, now))
	}
	if took := now.Sub(began); took < 3900*time.Millisecond || took > 4100*time.Millisecond {
		t.Errorf("what should have taken 4 s took %s", took)
	}
	now = now.Add(2 * time.Minute)
	if wait := f.pause(floodStore, now); wait != 0 {
		t.Errorf("after a pause it still has to wait for %s", wait)
	}
	if wait := f.pause(floodPerSec/2, now); wait != time.Second/2 {
		t.Errorf("it waits for %s", wait)
	}
}
