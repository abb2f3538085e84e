package report

import (
	"encoding/xml"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// TRX reads a report in Visual Studio's form, as `dotnet test --logger trx` writes it. When the XML breaks off or is wrong,
// what was read up to there comes together with the error.
func TRX(r io.Reader, tree Tree, limits Limits) (Findings, error) {
	c := newCollector(tree, limits)
	text, err := c.read(r)
	if err != nil {
		return Findings{}, err
	}
	x := newXMLStream("TRX", strings.NewReader(withoutIllegal(text)))
	t := trx{collector: c, x: x, classes: map[string]string{}}
	err = x.each("TestRun", t.begin, t.end)
	for _, one := range t.results { // the classes come after the results
		if !one.parent {
			t.report(one)
		}
	}
	if c.found.Truncated {
		err = nil
	}
	return c.found, err
}

// trx is the reading of one report.
type trx struct {
	*collector
	x       *xmlStream
	results []trxResult
	classes map[string]string // a test's id → its class
	open    []int             // the results that are open, the innermost last
	unit    string            // the id of the definition that is open
}

type trxResult struct {
	id, name, outcome, took, message, trace string
	parent                                  bool // it stands for the rows of its data, which are tests themselves
}

func (t *trx) begin(e xml.StartElement) error {
	switch e.Name.Local {
	case "UnitTestResult":
		if len(t.results) == maxTests {
			t.found.Cut++
			return nil
		}
		if n := len(t.open); n > 0 {
			t.results[t.open[n-1]].parent = true
		}
		t.open = append(t.open, len(t.results))
		t.results = append(t.results, trxResult{id: attribute(e, "testId"), name: attribute(e, "testName"), outcome: attribute(e, "outcome"), took: attribute(e, "duration")})
	case "UnitTest":
		t.unit = attribute(e, "id")
	case "TestMethod":
		if class, _, _ := strings.Cut(attribute(e, "className"), ","); t.unit != "" && len(t.classes) < maxTests {
			t.classes[t.unit] = class
		}
	case "Message", "StackTrace":
		var text string
		if err := t.x.decoder.DecodeElement(&text, &e); err != nil {
			return err
		}
		if n := len(t.open); n > 0 {
			one := &t.results[t.open[n-1]]
			if text = cut(text, 16*t.limits.Message); e.Name.Local == "Message" {
				one.message = text
			} else {
				one.trace = text
			}
		}
		return errTaken
	}
	return nil
}

func (t *trx) end(name string) {
	switch name {
	case "UnitTestResult":
		t.open = t.open[:max(len(t.open)-1, 0)]
	case "UnitTest":
		t.unit = ""
	}
}

// dotnetFrame is a line of a stack trace: "at Shop.PriceTest.Total() in C:\src\PriceTest.cs:line 12".
var dotnetFrame = regexp.MustCompile(` in ([^\n]{1,500}?):(?:line )?(\d{1,7})\b`)

var drive = regexp.MustCompile(`^[A-Za-z]:/`)

func (t *trx) report(one trxResult) {
	name := one.name
	if class := t.classes[one.id]; class != "" && !strings.Contains(name, class) {
		name = class + "." + name
	}
	failed, skipped := false, false
	switch one.outcome {
	case "Failed", "Error", "Timeout", "Aborted":
		failed = true
	case "NotExecuted", "Inconclusive", "Pending", "Disconnected", "NotRunnable":
		skipped = true
	}
	t.test(name, clockTime(one.took), failed, skipped)
	if !failed {
		return
	}
	at, line := "", 0
	for _, m := range dotnetFrame.FindAllStringSubmatch(cut(one.trace, 64<<10), maxSpots) {
		file := path.Clean(drive.ReplaceAllString(strings.ReplaceAll(m[1], `\`, "/"), "/"))
		if where, ok := t.placeAlike(inTree(file)...); ok {
			at, line = where, lineNumber(m[2])
			break
		}
	}
	t.failure(at, line, name, strings.Trim(one.message, "\n")+"\n"+one.trace)
}

// clockTime reads a time like 00:01:02.5. What is none is nothing.
func clockTime(text string) time.Duration {
	hours, rest, _ := strings.Cut(text, ":")
	minutes, sec, ok := strings.Cut(rest, ":")
	h, err1 := strconv.Atoi(hours)
	m, err2 := strconv.Atoi(minutes)
	if !ok || err1 != nil || err2 != nil || h < 0 || h > 1000 || m < 0 || m > 59 {
		return 0
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + seconds(sec)
}
