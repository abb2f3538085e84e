package report_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/conveyor-ci/conveyor/pipeline/report"
)

var all = known(func(string) bool { return true })

// known knows the paths that a function says, and none by its end.
type known func(string) bool

func (k known) Has(p string) bool            { return k(p) }
func (k known) Ending(string) (string, bool) { return "", false }

func goText(t *testing.T, text string, tree report.Tree, limits report.Limits) report.Findings {
	t.Helper()
	found, err := report.Go(strings.NewReader(text), "example.com/shop", tree, limits)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestNothingIsFoundInNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "ok  \texample.com/shop\t0.1s\n", "hello\n--- FAIL:\n{\n{}\n{\"Action\":1}\n"} {
		if found := goText(t, text, all, report.Limits{}); len(found.Annotations)+len(found.Unplaced)+found.Summary.Tests != 0 {
			t.Errorf("%q: %s", text, describe(found))
		}
	}
}

func TestOnlyAPassingTestsLogIsLeftOut(t *testing.T) {
	t.Parallel()
	found := goText(t, "=== RUN   TestA\n    a_test.go:1: fine\n--- PASS: TestA (0.00s)\n=== RUN   TestB\n    a_test.go:2: bad\n--- FAIL: TestB (0.00s)\nFAIL\nFAIL\texample.com/shop\t0.1s\n", all, report.Limits{})
	if len(found.Annotations) != 1 || found.Annotations[0].Line != 2 || found.Summary != (report.Summary{Tests: 2, Failed: 1}) {
		t.Error(describe(found))
	}
}

func TestParallelTestsKeepTheirOwnLines(t *testing.T) {
	t.Parallel()
	found := goText(t, "=== RUN   TestA\n=== PAUSE TestA\n=== RUN   TestB\n=== PAUSE TestB\n=== CONT  TestA\n=== CONT  TestB\n=== NAME  TestA\n    a_test.go:1: of A\n=== NAME  TestB\n    a_test.go:2: of B\n        more of B\n--- FAIL: TestB (0.00s)\n--- FAIL: TestA (0.00s)\nFAIL\nFAIL\texample.com/shop/x\t0.1s\n", all, report.Limits{})
	want := "2 tests, 2 failed, 0 skipped, 0 cut, truncated false\n\nfailure x/a_test.go:1-1 TestA\n\tof A\n\nfailure x/a_test.go:2-2 TestB\n\tof B\n\tmore of B\n"
	if got := describe(found); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestALineOfJSONMayComeInPieces(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	piece := func(test, text string) {
		fmt.Fprintf(&b, "{\"Action\":\"output\",\"Package\":\"example.com/shop\",\"Test\":%q,\"Output\":%q}\n", test, text)
	}
	piece("TestA", "=== RUN   TestA\n    a_test")
	b.WriteString("{\"Action\":\"run\",\"Package\":\"example.com/shop\",\"Test\":\"TestA\"}\n")
	piece("TestB", "    a_test.go:2: of B\n")
	piece("TestA", ".go:1: ")
	for range 3000 {
		piece("TestA", "long ")
	}
	piece("TestA", "\n        more\n")
	b.WriteString("not JSON, from a program that go test runs\n")
	for _, test := range []string{"TestA", "TestB"} {
		fmt.Fprintf(&b, "{\"Action\":\"fail\",\"Package\":\"example.com/shop\",\"Test\":%q}\n", test)
	}
	found := goText(t, b.String(), all, report.Limits{})
	if len(found.Annotations) != 2 || !strings.HasPrefix(found.Annotations[0].Message, "long long") || !strings.HasSuffix(found.Annotations[0].Message, "\nmore") || found.Annotations[1].Message != "of B" {
		t.Error(describe(found))
	}
}

func TestAPlaceThatIsNotInTheTreeStaysInTheMessage(t *testing.T) {
	t.Parallel()
	text := "--- FAIL: TestA (0.00s)\n    helper.go:9: lost\n        twice\n    a_test.go:1: found\n    other.go:3: lost as well\n--- FAIL: TestB (0.00s)\n    helper.go:9: only lost\n--- FAIL: TestC (0.00s)\nFAIL\nFAIL\texample.com/shop\t0.1s\n"
	found := goText(t, text, tree("a_test.go"), report.Limits{})
	want := "3 tests, 3 failed, 0 skipped, 0 cut, truncated false\n\n" +
		"failure a_test.go:1-1 TestA\n\tfound\n\tother.go:3: lost as well\n\thelper.go:9: lost\n\ttwice\n\n" +
		"failure :0-0 TestB\n\thelper.go:9: only lost\n\nfailure :0-0 TestC\n\tfailed without a message\n"
	if got := describe(found); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestWithoutATreeOrAModuleNoPlaceIsKnown(t *testing.T) {
	t.Parallel()
	text := "--- FAIL: TestA (0.00s)\n    a_test.go:1: lost\nFAIL\nFAIL\texample.com/shop\t0.1s\n"
	if found := goText(t, text, nil, report.Limits{}); len(found.Annotations) != 0 || len(found.Unplaced) != 1 {
		t.Error(describe(found))
	}
	for _, module := range []string{"", "example.com/sho", "example.com/shop/price"} {
		found, err := report.Go(strings.NewReader(text), module, all, report.Limits{})
		if err != nil || len(found.Annotations) != 0 || len(found.Unplaced) != 1 {
			t.Errorf("%q: %v %s", module, err, describe(found))
		}
	}
}

func TestAPackageOutsideTheModuleNamesNoFile(t *testing.T) {
	t.Parallel()
	for _, pkg := range []string{"example.com/shop/../../etc", "example.com/shopping", "/etc", "..", "example.com/shop//x", "example.com/shop/.git"} {
		found := goText(t, "--- FAIL: TestA (0.00s)\n    passwd.go:1: x\nFAIL\nFAIL\t"+pkg+"\t0.1s\n", all, report.Limits{})
		for _, a := range found.Annotations {
			if a.Path != "x/passwd.go" { // what example.com/shop//x is in the tree
				t.Errorf("%s: %s", pkg, a.Path)
			}
		}
	}
}

func TestAPanicNamesTheFirstLineOfTheModule(t *testing.T) {
	t.Parallel()
	text := "--- FAIL: TestA (0.00s)\npanic: boom\n\ngoroutine 7 [running]:\ngithub.com/else/where.F(...)\n\t/home/ci/go/pkg/mod/github.com/else/where/price.go:1\n" +
		"example.com/shop/v%2e1.(*T).Do(0x1, {0x2, 0x3})\n\t/home/ci/shop/v.1/do.go:7 +0x10\nexample.com/shop_test.TestA(0x1)\n\t/home/ci/shop/a_test.go:3 +0x1\ncreated by testing.(*T).Run in goroutine 1\n\t/x/y.go:1 +0x1\nexit status 2\nFAIL\texample.com/shop\t0.1s\n"
	found := goText(t, text, tree("price.go", "v.1/do.go", "a_test.go"), report.Limits{})
	want := "1 tests, 1 failed, 0 skipped, 0 cut, truncated false\n\nfailure v.1/do.go:7-7 panic in TestA\n\tpanic: boom\n\n\tv.1/do.go:7: (*T).Do\n\ta_test.go:3: TestA\n"
	if got := strings.ReplaceAll(describe(found), "\t\n", "\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestThePrintedWordPanicHidesNothing(t *testing.T) {
	t.Parallel()
	found := goText(t, "=== RUN   TestA\npanic: only printed\n    a_test.go:1: bad\n--- FAIL: TestA (0.00s)\nFAIL\nFAIL\texample.com/shop\t0.1s\n", all, report.Limits{})
	if len(found.Annotations) != 1 || found.Annotations[0].Message != "bad" {
		t.Error(describe(found))
	}
}

func TestTooManyFailuresAreCounted(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 250 {
		fmt.Fprintf(&b, "--- FAIL: Test%d (0.00s)\n    a_test.go:%d: bad\n", i, i+1)
	}
	b.WriteString("FAIL\nFAIL\texample.com/shop\t0.1s\n")
	found := goText(t, b.String(), all, report.Limits{})
	if len(found.Annotations) != 200 || found.Cut != 50 || found.Summary.Failed != 250 {
		t.Errorf("%d annotations, %d cut, %d failed", len(found.Annotations), found.Cut, found.Summary.Failed)
	}
	found = goText(t, b.String(), all, report.Limits{Annotations: 3})
	if len(found.Annotations) != 3 || found.Cut != 247 {
		t.Errorf("%d annotations, %d cut", len(found.Annotations), found.Cut)
	}
}

func TestALongReportIsReadToTheLimit(t *testing.T) {
	t.Parallel()
	head := `<testsuite><testcase name="a"><failure message="` + strings.Repeat("é", 5000) + `">` + strings.Repeat("x", 5000) + "</failure></testcase>"
	found, err := report.JUnit(strings.NewReader(head+strings.Repeat(`<testcase name="b"/>`, 10_000)), all, report.Limits{Bytes: 30_000, Line: 100, Message: 150})
	if err != nil || !found.Truncated || found.Summary.Failed != 1 || found.Summary.Tests < 100 || found.Summary.Tests > 1000 {
		t.Errorf("%v %s", err, describe(found))
	}
	message := found.Unplaced[0].Message
	if len(message) > 150 || !utf8.ValidString(message) || !strings.HasSuffix(message, "…") {
		t.Errorf("%d bytes: %q", len(message), message)
	}
	if _, err := report.Go(io.MultiReader(strings.NewReader("x"), iotest.ErrReader(errors.New("the disk is gone"))), "m", all, report.Limits{}); err == nil || !strings.Contains(err.Error(), "the disk is gone") {
		t.Errorf("an error of the reader must be told: %v", err)
	}
}

func TestHostileXMLIsRefusedWithASentence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ xml, want string }{
		"entities":     {`<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]><testsuite><testcase name="&lol2;"/></testsuite>`, "document type"},
		"external":     {`<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite/>`, "document type"},
		"entity":       {`<testsuite><testcase name="&secret;"/></testsuite>`, "entity"},
		"depth":        {"<testsuite>" + strings.Repeat("<a>", 10_000), "inside one another"},
		"depth inside": {"<testsuite><testcase>" + strings.Repeat("<a>", 10_000), "inside one another"},
		"long tag":     {"<testsuite " + strings.Repeat(`a="" `, 1<<19), "1024 KiB"},
		"html":         {"<html><body>404</body></html>", "begins with <html>"},
		"empty":        {"", ""},
		"text":         {"not XML at all", ""},
		"half":         {`<testsuite><testcase name="a"><failure>x</failure></testcase><testcase`, "EOF"},
	} {
		found, err := report.JUnit(strings.NewReader(c.xml), all, report.Limits{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "half" && found.Summary.Failed != 1 {
			t.Error("what was read before the XML broke off must count")
		}
	}
}

func TestColoursAreTakenOut(t *testing.T) {
	t.Parallel()
	for _, esc := range []string{"\x1b", "&#27;", "&#x1b;", "&#x001B;"} {
		found, err := report.JUnit(strings.NewReader(`<testsuite><testcase name="`+esc+`[1;31mred`+esc+`[0m"><failure>`+esc+`[31mwant 1`+esc+`[0m`+esc+`[</failure></testcase></testsuite>`), all, report.Limits{})
		if err != nil || len(found.Unplaced) != 1 || found.Unplaced[0].Title != "red" || strings.Trim(found.Unplaced[0].Message, "[") != "want 1" {
			t.Errorf("%q: %v %s", esc, err, describe(found))
		}
	}
	found := goText(t, "--- FAIL: TestA (0.00s)\n    a_test.go:1: \x1b]0;title\x07\x1b[31mred\x1b[0m \u202eturned\u202c \x00\x08end\r\nFAIL\nFAIL\texample.com/shop\t0.1s\n", all, report.Limits{})
	if len(found.Annotations) != 1 || found.Annotations[0].Message != "red turned end" {
		t.Error(describe(found))
	}
}

func TestTheTreeIsNotAskedWithoutEnd(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("<testsuite>")
	for i := range 3000 {
		fmt.Fprintf(&b, `<testcase name="t%d"><failure>/a/b/c/d/e/f%d.js:1 and src/g%d.js:2</failure></testcase>`, i, i, i)
	}
	b.WriteString("</testsuite>")
	asked := 0
	found, err := report.JUnit(strings.NewReader(b.String()), known(func(p string) bool {
		if !fs.ValidPath(p) {
			t.Errorf("asked for %q", p)
		}
		asked++
		return false
	}), report.Limits{})
	if err != nil || asked > 5000 || found.Cut == 0 {
		t.Errorf("asked %d times, %v", asked, err)
	}
}

// sound checks what must hold of every report, however it came about.
func sound(t *testing.T, found report.Findings, asked map[string]bool) {
	if s := found.Summary; s.Failed+s.Skipped > s.Tests || len(found.Annotations) > 200 || len(found.Unplaced) > 200 || found.Cut < 0 {
		t.Errorf("%+v, %d, %d, %d", s, len(found.Annotations), len(found.Unplaced), found.Cut)
	}
	if c := found.Coverage; c != nil {
		if c.Covered > c.Lines || c.Outside < 0 {
			t.Errorf("%+v", c)
		}
		for _, at := range c.Paths() {
			if !fs.ValidPath(at) || !asked[at] {
				t.Errorf("coverage of %q", at)
			}
		}
	}
	for _, one := range found.Tests {
		if one.Name == "" || len(one.Name) > 300 || one.Took < 0 || !utf8.ValidString(one.Name) || strings.ContainsFunc(one.Name, unicode.IsControl) {
			t.Errorf("%+v", one)
		}
	}
	for i, a := range append(found.Annotations, found.Unplaced...) {
		if placed := i < len(found.Annotations); placed && (!fs.ValidPath(a.Path) || !asked[a.Path] || a.Line < 1 || a.EndLine < a.Line) || !placed && a.Path != "" {
			t.Errorf("%+v", a)
		}
		if a.Level != report.Failure && a.Level != report.Warning && a.Level != report.Notice || len(a.Title) > 255 || len(a.Message) > 8<<10 || a.Message == "" || !utf8.ValidString(a.Title+a.Message) {
			t.Errorf("%+v", a)
		}
		if strings.ContainsFunc(a.Title+a.Message, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) || strings.ContainsAny(a.Title, "\n\t") {
			t.Errorf("%+v", a)
		}
	}
}

func FuzzGo(f *testing.F) {
	for _, mode := range []string{"plain", "verbose", "json"} {
		data, err := io.ReadAll(open(f, "testdata/go/"+mode+".log"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		asked, began := map[string]bool{}, time.Now()
		found, err := report.Go(strings.NewReader(string(data)), "example.com/shop", known(func(p string) bool { asked[p] = true; return true }), report.Limits{})
		if err != nil {
			t.Error(err)
		}
		sound(t, found, asked)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%d bytes took %v", len(data), took)
		}
	})
}

func FuzzJUnit(f *testing.F) {
	for _, name := range []string{"jest", "pytest", "pytest-xunit1", "surefire", "gotestsum", "hostile"} {
		data, err := io.ReadAll(open(f, "testdata/junit/"+name+".xml"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		asked, began := map[string]bool{}, time.Now()
		found, _ := report.JUnit(strings.NewReader(string(data)), known(func(p string) bool { asked[p] = true; return true }), report.Limits{})
		sound(t, found, asked)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%d bytes took %v", len(data), took)
		}
	})
}
