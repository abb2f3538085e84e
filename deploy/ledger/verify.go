package ledger

import (
	"bufio"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
)

// Bad is the first line of a ledger that is not as it was written.
type Bad struct {
	Line int
	Why  string
}

func (b *Bad) Error() string { return fmt.Sprintf("line %d: %s", b.Line, b.Why) }

// Report is what a ledger that was proven says of itself.
type Report struct {
	Lines int
	Head  string // hash of the last line
}

// Verify proves a ledger, line by line: that each was signed with the key, names the one before it, and that none is
// missing, twice, or in another place. head, when it is not empty, is a hash that was noted before: its line must be
// there, so that what was cut off at the end is missed. each, when it is not nil, gets every line that was proven. Its
// error is a Bad, or one of reading.
func Verify(r io.Reader, public ed25519.PublicKey, head string, each func(Line)) (Report, error) {
	report := Report{Head: zeros}
	told := map[string]mark{}
	found := head == "" || head == zeros
	in := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		n := report.Lines + 1
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			if !found {
				return report, &Bad{n, fmt.Sprintf("the ledger ends here, and the line %.12s that it once had is not in it: lines were cut off", head)}
			}
			return report, nil
		case errors.Is(err, io.EOF):
			return report, &Bad{n, "it is torn: it does not end"}
		case err != nil:
			return report, fmt.Errorf("read line %d: %w", n, err)
		}
		line = line[:len(line)-1]
		payload, err := open(public, line)
		if err != nil {
			return report, &Bad{n, err.Error()}
		}
		l, err := read(payload)
		if err != nil {
			return report, &Bad{n, err.Error()}
		}
		before := told[l.Stream]
		switch {
		case l.Sequence > n:
			return report, &Bad{n, fmt.Sprintf("it was number %d when it was written: a line before it is missing, or it stands too early", l.Sequence)}
		case l.Sequence < n:
			return report, &Bad{n, fmt.Sprintf("it was number %d when it was written: it stands here a second time, or in another's place", l.Sequence)}
		case l.Previous != report.Head:
			return report, &Bad{n, fmt.Sprintf("it follows the line %.12s, and the one before it is %.12s", l.Previous, report.Head)}
		case l.Version < before.version || l.Version == before.version && l.Part <= before.part:
			return report, &Bad{n, fmt.Sprintf("it tells of record %d of %s, which was told before", l.Version, l.Stream)}
		}
		told[l.Stream] = mark{l.Version, l.Part}
		report.Lines, report.Head = n, hashOf(line)
		found = found || report.Head == head
		if each != nil {
			each(l)
		}
	}
}
