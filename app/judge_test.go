package app

import (
	"syscall"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// Whose doing an end was is told by one word, and each end has exactly one: a limit's, the clock's, the caller's, or the
// command's. Ours is no end of a step: it is an error of the sandbox, and the attempt is lost.
func TestEachEndOfAStepHasOneWord(t *testing.T) {
	t.Parallel()
	limits := sandbox.Limits{Wall: time.Minute, Memory: 1 << 30, PIDs: 100, Disk: 1 << 30, Files: 1000}
	for _, c := range []struct {
		name string
		end  sandbox.End
		want pipeline.Outcome
	}{
		{"it passed", sandbox.End{}, pipeline.Passed},
		{"it passed although something in it ran out of memory", sandbox.End{OOM: true}, pipeline.Passed},
		{"it passed although it was refused a process", sandbox.End{PIDs: true}, pipeline.Passed},
		{"the command failed", sandbox.End{ExitCode: 1}, pipeline.Failed},
		{"the command was not found", sandbox.End{ExitCode: 127}, pipeline.Failed},
		{"the command killed itself", sandbox.End{ExitCode: 128 + int(syscall.SIGKILL)}, pipeline.Failed},
		{"the command crashed", sandbox.End{ExitCode: 128 + int(syscall.SIGSEGV)}, pipeline.Failed},
		{"it failed after it was refused a process", sandbox.End{ExitCode: 1, PIDs: true}, pipeline.Failed},
		{"it ran out of memory", sandbox.End{ExitCode: 137, OOM: true}, pipeline.Resource},
		{"it failed because something in it ran out of memory", sandbox.End{ExitCode: 2, OOM: true}, pipeline.Resource},
		{"it filled the disk", sandbox.End{ExitCode: 137, Disk: true}, pipeline.Resource},
		{"it wrote a file that is too large", sandbox.End{ExitCode: 128 + int(syscall.SIGXFSZ)}, pipeline.Resource},
		{"it filled the disk and memory", sandbox.End{ExitCode: 137, Disk: true, OOM: true}, pipeline.Resource},
		{"its time was up", sandbox.End{ExitCode: 137, TimedOut: true}, pipeline.TimedOut},
		{"its time was up when it had no memory left", sandbox.End{ExitCode: 137, TimedOut: true, OOM: true}, pipeline.TimedOut},
		{"its time was up when the disk was full", sandbox.End{ExitCode: 137, TimedOut: true, Disk: true}, pipeline.TimedOut},
		{"its time was up as it ended well", sandbox.End{TimedOut: true}, pipeline.TimedOut},
		{"it was cancelled", sandbox.End{ExitCode: 137, Cancelled: true}, pipeline.Cancelled},
		{"it was cancelled as its time was up", sandbox.End{ExitCode: 137, Cancelled: true, TimedOut: true}, pipeline.Cancelled},
		{"it was cancelled when it had no memory left", sandbox.End{ExitCode: 137, Cancelled: true, OOM: true, Disk: true}, pipeline.Cancelled},
	} {
		c.end.Limits = limits
		got := judge(c.end.Verdict(), pipeline.Step{Timeout: pipeline.Duration(time.Minute)})
		if got.Outcome != c.want {
			t.Errorf("%s: it is called %s, and should be %s", c.name, got.Outcome, c.want)
		}
		if (got.Reason == "") != (c.want == pipeline.Passed) {
			t.Errorf("%s: its reason is %q", c.name, got.Reason)
		}
		if got.Outcome == pipeline.Infrastructure {
			t.Errorf("%s: the end of a step was called our doing", c.name)
		}
	}
}
