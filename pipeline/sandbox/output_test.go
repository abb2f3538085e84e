package sandbox_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

func TestLinesOfAServiceStandBetweenThoseOfTheStep(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	o := sandbox.NewOutput(&all)
	db, queue := o.Service("db"), o.Service("queue")
	io.WriteString(db, "starts\r\nlis")
	io.WriteString(o, "one.")
	io.WriteString(db, "tens\n")
	io.WriteString(queue, "up\n")
	io.WriteString(o, ".two\nthree\n")
	io.WriteString(db, "\n::group::x\nthe end")
	if err := errors.Join(db.Close(), queue.Close(), o.Close()); err != nil {
		t.Error(err)
	}
	if want := "one..two\nthree\n"; !strings.Contains(all.String(), want) {
		t.Errorf("a line of the step is broken: %q", all.String())
	}
	if want := "db │ starts\none..two\nthree\ndb │ listens\nqueue │ up\ndb │ \ndb │ ::group::x\ndb │ the end\n"; all.String() != want {
		t.Errorf("got %q", all.String())
	}
}

func TestALineThatNeverEndsHoldsNoServiceBackForEver(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	o := sandbox.NewOutput(&all)
	io.WriteString(o, "...")
	db := o.Service("db")
	io.WriteString(db, strings.Repeat("x", 100<<10))
	if got := all.String(); !strings.HasPrefix(got, "...\ndb │ xxx") {
		t.Errorf("got %.40q", got)
	}
}

func TestAServiceThatFloodsTheLogIsCutOff(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	o := sandbox.NewOutput(&all)
	db := o.Service("db")
	for range 1000 {
		io.WriteString(db, strings.Repeat("x", 9999)+"\n")
	}
	io.WriteString(o, "the step\n")
	if got := all.String(); len(got) > 5<<20 || strings.Count(got, "not kept") != 1 || !strings.HasSuffix(got, "is not kept.\nthe step\n") {
		t.Errorf("%d bytes, ending in %q", len(got), got[len(got)-100:])
	}
}

func TestAFailureOfTheWriterIsHandedOn(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	r.CloseWithError(errors.New("full"))
	o := sandbox.NewOutput(w)
	o.Say("x")
	if err := o.Close(); err == nil || err.Error() != "full" {
		t.Errorf("%v", err)
	}
}
