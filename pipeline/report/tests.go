package report

import "time"

// Outcome is how one test ended.
type Outcome string

// The outcomes of a test.
const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
)

// Test is one test, by the name under which its history is kept.
type Test struct {
	Name    string // one line; of a Go test, with its package
	Outcome Outcome
	Took    time.Duration // zero where the report does not say
}

const maxTestName = 300 // bytes

// test takes one test in. Beyond the limit it is counted, and not remembered.
func (c *collector) test(name string, took time.Duration, failed, skipped bool) {
	t := Test{Outcome: Passed, Took: max(took, 0)}
	c.found.Summary.Tests++
	switch {
	case failed:
		t.Outcome = Failed
		c.found.Summary.Failed++
	case skipped:
		t.Outcome = Skipped
		c.found.Summary.Skipped++
	}
	if len(c.found.Tests) < maxTests {
		if t.Name = oneLine(name, maxTestName); t.Name != "" {
			c.found.Tests = append(c.found.Tests, t)
		}
	}
}

// seconds reads a time like "0.034" or "1,234.5". What no test can take is nothing.
func seconds(text string) time.Duration {
	var whole, part, scale float64 = 0, 0, 1
	fraction := false
	for _, r := range text {
		switch {
		case r == ',':
		case r == '.' && !fraction:
			fraction = true
		case r < '0' || r > '9' || whole > 1e6:
			return 0
		case fraction:
			if scale *= 10; scale <= 1e9 {
				part += float64(r-'0') / scale
			}
		default:
			whole = whole*10 + float64(r-'0')
		}
	}
	return time.Duration((whole + part) * float64(time.Second))
}
