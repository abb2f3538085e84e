package sandbox

import (
	"fmt"
	"syscall"
	"time"
)

// End is what an adapter saw of a command that was started.
type End struct {
	ExitCode  int // of the command; 128+n when signal n ended it
	TimedOut  bool
	Cancelled bool
	OOM       bool // the kernel ended a process of the step because the step's memory was used up
	PIDs      bool // the step was refused a process
	Disk      bool // the step was ended because it had written more than it may
	Limits    Limits
	Wall      time.Duration
	Memory    int64
}

// Verdict sorts the classes of an end: what the caller did, what a limit did, what the command did. A limit that the
// command coped with is no failure.
func (e End) Verdict() Verdict {
	v := Verdict{Outcome: Exited, ExitCode: e.ExitCode, Wall: e.Wall, Memory: e.Memory}
	switch {
	case e.Cancelled:
		v.Outcome, v.Reason = Cancelled, "it was cancelled"
	case e.TimedOut:
		v.Outcome, v.Reason = TimedOut, fmt.Sprintf("ran into its time limit of %s", e.Limits.Wall)
	case e.Disk:
		v.Outcome, v.Reason = Resource, fmt.Sprintf("wrote more to its workspace than it may: the limit is %s in %d files", inBytes(e.Limits.Disk), e.Limits.Files)
	case e.ExitCode == 0:
	case e.OOM:
		v.Outcome, v.Reason = Resource, fmt.Sprintf("ran out of memory: the limit is %s", inBytes(e.Limits.Memory))
	case e.ExitCode == 128+int(syscall.SIGXFSZ):
		v.Outcome, v.Reason = Resource, fmt.Sprintf("wrote a file that is larger than it may be: the limit is %s", inBytes(e.Limits.Disk))
	case e.ExitCode > 128 && e.ExitCode <= 128+64:
		v.Reason = fmt.Sprintf("exit code %d: ended by signal %d (%s)", e.ExitCode, e.ExitCode-128, syscall.Signal(e.ExitCode-128))
	default:
		v.Reason = fmt.Sprintf("exit code %d", e.ExitCode)
	}
	if e.PIDs && v.Outcome == Exited && v.ExitCode != 0 {
		v.Reason += fmt.Sprintf("; it reached its limit of %d processes", e.Limits.PIDs)
	}
	return v
}

func inBytes(n int64) string {
	switch {
	case n >= 1<<30 && n%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
