package buildspec

import (
	"fmt"
	"strconv"
	"strings"
)

// Try is one try of a phase, as a run has recorded it.
type Try struct {
	Phase    Phase
	Number   int // from 1
	Failed   bool
	Began    int64 // seconds since 1970, by the sandbox's clock
	Ended    int64
	ExitCode int    // of the command that failed
	Command  string // the one that failed
}

// Record is what a run says of its phases.
type Record struct {
	Tries []Try
	State State // after all of them: UPLOAD_ARTIFACTS or FINALIZING is next
}

const maxRecord = 64 << 10 // bytes: a hundred retries of four phases are less

// ReadRecord reads what the script has written, and proves it by the transitions: a record that leaves a phase out, or
// goes on after the end, is none. It was written where the build's own commands run, so that nothing of it is believed
// that the exit code contradicts; see Why.
func ReadRecord(s Spec, text string) (Record, error) {
	r := Record{State: Prepared()}
	if len(text) > maxRecord {
		return Record{}, fmt.Errorf("buildspec: the record of the phases is too long")
	}
	for line := range strings.Lines(text) {
		t, matches, err := readTry(s, strings.Fields(line))
		if err != nil {
			return Record{}, err
		}
		if t.Phase != r.State.At || t.Number != r.State.Tries+1 {
			return Record{}, fmt.Errorf("buildspec: the record has try %d of %s, and %s was due", t.Number, t.Phase, r.State.At)
		}
		r.Tries = append(r.Tries, t)
		r.State = r.State.Next(s.Section(t.Phase).OnFailure, End{Phase: t.Phase, Failed: t.Failed, Matches: matches})
	}
	if r.State.At.Ours() {
		return Record{}, fmt.Errorf("buildspec: the record ends in the middle: %s was due", r.State.At)
	}
	return r, nil
}

func readTry(s Spec, fields []string) (t Try, matches bool, err error) {
	if len(fields) != 9 {
		return t, false, fmt.Errorf("buildspec: a line of the record has %d words", len(fields))
	}
	p, known := named(fields[0])
	if !known || !p.Ours() {
		return t, false, fmt.Errorf("buildspec: the record has a phase %s", quote(fields[0]))
	}
	var numbers [5]int64
	for i, at := range []int{1, 4, 5, 6, 8} {
		if numbers[i], err = strconv.ParseInt(fields[at], 10, 64); err != nil {
			return t, false, fmt.Errorf("buildspec: the record has %s for a number", quote(fields[at]))
		}
	}
	t = Try{Phase: p, Number: int(numbers[0]), Failed: fields[2] != "SUCCEEDED", Began: numbers[1], Ended: numbers[2], ExitCode: int(numbers[3])}
	list := s.Section(p).Commands
	if fields[7] == "finally" {
		list = s.Section(p).Finally
	}
	if n := int(numbers[4]); t.Failed && n >= 1 && n <= len(list) {
		t.Command = list[n-1]
	}
	return t, fields[3] == "1", nil
}

// Why says in one sentence why a build has failed, empty when it has not.
func (r Record) Why() string {
	if !r.State.Failed {
		return ""
	}
	var last Try
	for _, t := range r.Tries {
		if t.Phase == r.State.First {
			last = t
		}
	}
	if last.Number == 0 {
		return r.State.First.String() + " failed"
	}
	why := fmt.Sprintf("%s failed: exit status %d of %s", last.Phase, last.ExitCode, firstLine(last.Command))
	if last.Number > 1 {
		why += fmt.Sprintf(", after %d tries", last.Number)
	}
	return why
}

func firstLine(command string) string {
	line, _, more := strings.Cut(strings.TrimSpace(command), "\n")
	line = strings.Trim(quote(line), `"`)
	if more && !strings.HasSuffix(line, "…") {
		line += " …"
	}
	return line
}
