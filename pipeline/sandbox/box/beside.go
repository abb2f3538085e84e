package box

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// Service is one that was started beside a step.
type Service interface {
	Is() sandbox.Service
	Exit() <-chan struct{}          // closed when it has ended
	Probe(ctx context.Context) bool // asks once whether it is ready
	Said() string                   // what its ready command has said last

	// Early sorts out why it has ended before it was ready: that is its own doing, or an error of the sandbox.
	Early(ctx context.Context) (sandbox.Verdict, error)

	How(ctx context.Context) string // the way in which it has ended
}

// Beside runs a step when all its services are ready. The time for that counts as the step's own. A service that ends while
// the step runs is told of.
func Beside(ctx context.Context, began time.Time, l sandbox.Limits, all []Service, out *sandbox.Output, step func() (sandbox.Verdict, error)) (sandbox.Verdict, error) {
	limited, cancel := context.WithDeadline(ctx, began.Add(l.Wall))
	defer cancel()
	v, err := allReady(limited, all, out)
	switch {
	case ctx.Err() != nil:
		return sandbox.End{Cancelled: true, Limits: l, Wall: time.Since(began)}.Verdict(), nil
	case err != nil:
		return v, err
	case v.Outcome == sandbox.Unready && limited.Err() != nil:
		v = sandbox.End{TimedOut: true, Limits: l}.Verdict()
	}
	if v.Wall = time.Since(began); v.Outcome != "" {
		return v, nil
	}
	v, err = step()
	return mentioned(ctx, v, all, out), err
}

// allReady waits until all services are ready, or one is known not to get there. Its verdict has no outcome when they are.
func allReady(ctx context.Context, all []Service, out *sandbox.Output) (v sandbox.Verdict, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		waits sync.WaitGroup
		once  sync.Once
	)
	for _, one := range all {
		waits.Go(func() {
			came, failed := ready(ctx, one, out)
			if came.Outcome == "" && failed == nil {
				return
			}
			once.Do(func() { v, err = came, failed }) // the others are stopped by it
			stop()
		})
	}
	waits.Wait()
	return v, err
}

// ready waits until a service is ready.
func ready(ctx context.Context, one Service, out *sandbox.Output) (v sandbox.Verdict, err error) {
	service := one.Is()
	ctx, cancel := context.WithTimeout(ctx, service.Ready.Within())
	defer cancel()
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second/2) {
		passed := one.Probe(ctx)
		if ended(one) {
			return one.Early(ctx)
		}
		if passed {
			return v, nil
		}
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-one.Exit():
		case <-ctx.Done():
			pause.Stop()
			if said := one.Said(); said != "" {
				out.Say("The ready command of the service %s said last: %s", service.Name, OneLine(said))
			}
			return service.NotReady(), nil
		}
		pause.Stop()
	}
}

func ended(one Service) bool {
	select {
	case <-one.Exit():
		return true
	default:
		return false
	}
}

// mentioned tells of services that have ended although the step was still there. It is the step's business whether that
// matters: when it fails, that may be why.
func mentioned(ctx context.Context, v sandbox.Verdict, all []Service, out *sandbox.Output) sandbox.Verdict {
	for _, one := range all {
		if !ended(one) {
			continue
		}
		name, how := one.Is().Name, one.How(ctx)
		out.Say("The service %s ended while the step ran: %s.", name, how)
		if v.Outcome == sandbox.Exited && v.ExitCode != 0 {
			v.Reason += fmt.Sprintf("; its service %s had ended: %s", name, how)
		}
	}
	return v
}
