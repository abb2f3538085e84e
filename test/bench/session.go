package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"time"
)

// session is one run of this program: what was asked for, and the progress that is shown.
type session struct {
	options
	name   string    // of the measurement under way
	began  time.Time // the measurement
	self   string    // this program
	out    io.Writer
	screen bool // a person watches: the line is rewritten
	start  time.Time
}

func newSession(o options, out io.Writer) (*session, error) {
	s := &session{options: o, out: out, start: time.Now()}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		s.screen = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	if s.quick {
		s.rounds = min(s.rounds, 2)
	}
	var err error
	if s.self, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if s.profile != "" {
		if s.profile, err = filepath.Abs(s.profile); err == nil {
			err = os.MkdirAll(s.profile, 0o755)
		}
		if err != nil {
			return nil, fmt.Errorf("-profile: %w", err)
		}
	}
	return s, nil
}

// say shows what is going on.
func (s *session) say(format string, args ...any) {
	end := "\n"
	if s.screen {
		fmt.Fprint(s.out, "\r\033[K")
		end = ""
	}
	fmt.Fprintf(s.out, "%5.1f s  %s: %s%s", time.Since(s.start).Seconds(), s.name, fmt.Sprintf(format, args...), end)
}

func (s *session) done() {
	if s.screen {
		fmt.Fprint(s.out, "\r\033[K")
	}
}

// play plays rounds: in each, every side has its turn. When the measurement has had its time, no further round begins; two
// are always played, unless fewer were asked for.
func (s *session) play(ctx context.Context, most time.Duration, rounds int, sides ...func(context.Context) error) error {
	for i := range rounds {
		if i >= 2 && time.Since(s.began) > most {
			s.say("enough after %d of %d rounds, because the machine is slow", i, rounds)
			return nil
		}
		s.say("round %d of %d", i+1, rounds)
		for _, side := range sides {
			runtime.GC() // what the side before left behind is not this one's
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := side(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// pick is the full value, or the one for -quick.
func pick[T any](s *session, full, quick T) T {
	if s.quick {
		return quick
	}
	return full
}

// profiled measures this process while f runs, when profiles were asked for.
func (s *session) profiled(f func() error) (err error) {
	if s.profile == "" {
		return f()
	}
	to, err := os.Create(filepath.Join(s.profile, s.name+".pprof"))
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(to); err != nil {
		return err
	}
	defer func() {
		pprof.StopCPUProfile()
		if closed := to.Close(); err == nil {
			err = closed
		}
	}()
	return f()
}

// median of values; 0 of none.
func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile is the value below which the share lies; of two in the middle, their mean.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	at := share * float64(len(sorted)-1)
	low, high := sorted[int(math.Floor(at))], sorted[int(math.Ceil(at))]
	return low + (high-low)*(at-math.Floor(at))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
