package logs

import (
	"testing"
	"time"
)

// A reader may find the writer's state an instant before the writer closes the log. It must not wait for more.
func TestAReaderThatComesAsTheWriterGoesIsTold(t *testing.T) {
	t.Parallel()
	l := newLive()
	l.grow(10)
	l.end()
	_, changed, gone := l.state()
	if !gone {
		t.Fatal("the log still seems to be written")
	}
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Fatal("the reader would wait for ever")
	}
}
