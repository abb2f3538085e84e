package journal

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// longestWord bounds stream names, kinds and keys, in bytes: they are indexed, and a name that big is a mistake.
const longestWord = 1024

// Check tells what is wrong with a batch, before a store sees it. Every adapter calls it, so that a batch that one
// store takes is never refused by another.
func (b Batch) Check() error {
	if err := checkWord("stream name", b.Stream); err != nil {
		return fmt.Errorf("journal: append: %w", err)
	}
	if len(b.Records) == 0 {
		return fmt.Errorf("journal: append to %s: the batch has no records", b.Stream)
	}
	for i, r := range b.Records {
		if err := checkWord("kind", r.Kind); err != nil {
			return fmt.Errorf("journal: append to %s: record %d: %w", b.Stream, i+1, err)
		}
		if r.Key == "" {
			continue
		}
		if err := checkWord("key", r.Key); err != nil {
			return fmt.Errorf("journal: append to %s: record %d: %w", b.Stream, i+1, err)
		}
	}
	return nil
}

// Stamped returns the records as a store writes them: versions that follow after, times in UTC to the microsecond,
// and now where the caller gave none. Data is not copied.
func (b Batch) Stamped(after int64, now time.Time) []Record {
	stamped := make([]Record, len(b.Records))
	for i, r := range b.Records {
		if r.At.IsZero() {
			r.At = now
		}
		r.At = time.UnixMicro(r.At.UnixMicro()).UTC()
		r.Version = after + int64(i) + 1
		stamped[i] = r
	}
	return stamped
}

func checkWord(what, word string) error {
	switch {
	case word == "":
		return fmt.Errorf("the %s is empty", what)
	case len(word) > longestWord:
		return fmt.Errorf("the %s has %d bytes, %d are allowed", what, len(word), longestWord)
	case !utf8.ValidString(word):
		return fmt.Errorf("the %s is not UTF-8", what)
	}
	for _, r := range word {
		if r < ' ' || r == 0x7f {
			return fmt.Errorf("the %s has a control character", what)
		}
	}
	return nil
}
