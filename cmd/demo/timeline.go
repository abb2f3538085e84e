package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// timeline prints the story as it happens: a line for each step that came true, and meanwhile what is waited for.
type timeline struct {
	out     io.Writer
	begun   time.Time
	mu      sync.Mutex
	screen  bool // a person watches: the waiting line is rewritten
	waiting bool
}

func newTimeline(out *os.File) *timeline {
	info, err := out.Stat()
	return &timeline{out: out, begun: time.Now(), screen: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (l *timeline) clear() {
	if l.waiting {
		fmt.Fprint(l.out, "\r\033[K")
		l.waiting = false
	}
}

// note says something beside the story.
func (l *timeline) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	fmt.Fprintf(l.out, "  "+format+"\n", args...)
}

// wait shows what is waited for until the returned function is called.
func (l *timeline) wait(what string) (done func()) {
	begun := time.Now()
	stop, stopped := make(chan struct{}), make(chan struct{})
	every := 5 * time.Second
	if l.screen {
		every = 100 * time.Millisecond
	}
	go func() {
		defer close(stopped)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for turn := 0; ; turn++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			l.mu.Lock()
			if l.screen {
				fmt.Fprintf(l.out, "\r\033[K  %s %s (%.0f s)", []string{"◐", "◓", "◑", "◒"}[turn%4], what, time.Since(begun).Seconds())
				l.waiting = true
			} else {
				fmt.Fprintf(l.out, "    … %s (%.0f s)\n", what, time.Since(begun).Seconds())
			}
			l.mu.Unlock()
		}
	}()
	return func() {
		close(stop)
		<-stopped
		l.mu.Lock()
		defer l.mu.Unlock()
		l.clear()
	}
}

// told prints a step that came true, or did not, with where to look.
func (l *timeline) told(ok bool, took time.Duration, what, detail, link string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	mark := "✓"
	if !ok {
		mark = "✕"
	}
	fmt.Fprintf(l.out, "\n%s %5.1f s  %s  (+%.1f s)\n", mark, time.Since(l.begun).Seconds(), what, took.Seconds())
	if detail != "" {
		fmt.Fprintf(l.out, "           %s\n", detail)
	}
	if link != "" {
		fmt.Fprintf(l.out, "           %s\n", link)
	}
}
