package report_test

import (
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/report"
)

// form is one of the forms that reports come in.
type form struct {
	read  func(io.Reader, report.Tree) (report.Findings, error)
	files string
}

func withLimits(read func(io.Reader, report.Tree, report.Limits) (report.Findings, error)) func(io.Reader, report.Tree) (report.Findings, error) {
	return func(r io.Reader, tree report.Tree) (report.Findings, error) { return read(r, tree, report.Limits{}) }
}

var forms = map[string]form{
	"trx":       {withLimits(report.TRX), "testdata/trx/*.trx"},
	"cucumber":  {withLimits(report.Cucumber), "testdata/cucumber/*.json"},
	"sarif":     {withLimits(report.SARIF), "testdata/sarif/*.sarif"},
	"cobertura": {report.Cobertura, "testdata/cobertura/*.xml"},
	"jacoco":    {report.JaCoCo, "testdata/jacoco/*.xml"},
	"lcov":      {report.LCOV, "testdata/lcov/*.info"},
}

// company is the tree that the reports in testdata speak of.
var company = report.NewFiles([]string{"tests/Shop.Tests/PriceTest.cs", "features/cart.feature", "src/db.js", "src/price list.js", "web/app.js",
	"price.py", "stock.py", "src/price.js", "src/stock.js", "server/src/main/java/com/acme/Price.java", "server/src/main/kotlin/com/acme/web/Page.kt", "etc/hosts"})

func TestEachFormOfReportLeadsToTheLines(t *testing.T) {
	t.Parallel()
	for name, f := range forms {
		paths, err := filepath.Glob(f.files)
		if err != nil || len(paths) == 0 {
			t.Fatal(name, paths, err)
		}
		for _, path := range paths {
			t.Run(path, func(t *testing.T) {
				t.Parallel()
				found, err := f.read(open(t, path), company)
				if err != nil {
					t.Fatal(err)
				}
				golden(t, strings.TrimSuffix(path, filepath.Ext(path))+".txt", found)
			})
		}
	}
}

func TestAPathIsMappedByItsEndOnlyWhenThatNamesOneFile(t *testing.T) {
	t.Parallel()
	files := report.NewFiles([]string{"a/x/one.go", "b/x/one.go", "c/two.go", "three.go", "d/four.go", "e/d/four.go"})
	for path, want := range map[string]string{
		"two.go": "c/two.go", "deep/c/two.go": "c/two.go", "x/one.go": "", "a/x/one.go": "a/x/one.go", "wo.go": "", "d/four.go": "",
		"elsewhere/three.go": "", // a file at the top has too common an end
		"none.go":            "", "": "",
	} {
		if at, only := files.Ending(path); at != want || only != (want != "") {
			t.Errorf("%q is mapped to %q, want %q", path, at, want)
		}
	}
}

func TestDocumentsThatDeclareEntitiesAreRefusedInEveryForm(t *testing.T) {
	t.Parallel()
	for name, root := range map[string]string{"trx": "TestRun", "cobertura": "coverage", "jacoco": "report"} {
		for what, text := range map[string]string{
			"entities":  `<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><` + root + `>&z;</` + root + `>`,
			"external":  `<` + root + `><a>&file;</a></` + root + `>`,
			"depth":     "<" + root + ">" + strings.Repeat("<a>", 10_000),
			"long tag":  "<" + root + " " + strings.Repeat(`a="" `, 1<<19),
			"quoted":    "<" + root + ` a="` + strings.Repeat(">", 2<<20) + `"/>`,
			"a comment": "<" + root + "><!--" + strings.Repeat("<", 2<<20) + "--></" + root + ">",
			"html":      "<html></html>",
			"half":      "<" + root + ">",
		} {
			if _, err := forms[name].read(strings.NewReader(text), company); err == nil || !strings.HasPrefix(err.Error(), "report: read a") {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}

func TestJSONOfAnotherShapeIsRefusedWithASentence(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sarif", "cucumber"} {
		for _, text := range []string{"", "7", `"x"`, "[[]]", `{"runs": 7}`, `{"runs":[{"results":{}}]}`, strings.Repeat("[", 1<<20), `{"a":` + strings.Repeat("[", 1<<20)} {
			if _, err := forms[name].read(strings.NewReader(text), company); err == nil || !strings.HasPrefix(err.Error(), "report: read a") || len(err.Error()) > 300 {
				t.Errorf("%s, %.40q: %v", name, text, err)
			}
		}
	}
}

func TestResultsBeforeTheBreakCount(t *testing.T) {
	t.Parallel()
	found, err := report.Cucumber(strings.NewReader(`[{"uri":"features/cart.feature","elements":[{"name":"a","steps":[{"result":{"status":"failed"}}]}]}, {"uri"`), company, report.Limits{})
	if err == nil || found.Summary.Failed != 1 {
		t.Errorf("%v, %+v", err, found.Summary)
	}
	found, err = report.SARIF(strings.NewReader(`{"runs":[{"results":[{"message":{"text":"x"}},{"message":{"text":"`+strings.Repeat("y", 1000)), company, report.Limits{Bytes: 100})
	if err != nil || !found.Truncated || found.Alerts.Warnings != 1 {
		t.Errorf("%v, %+v", err, found)
	}
}

func TestCoverageOfSeveralReportsIsAddedUp(t *testing.T) {
	t.Parallel()
	read := func(text string) *report.Coverage {
		found, err := report.LCOV(strings.NewReader(text), company)
		if err != nil {
			t.Fatal(err)
		}
		return found.Coverage
	}
	var all report.Coverage
	all.Add(nil)
	all.Add(read("SF:src/price.js\nDA:1,1\nDA:2,0\nDA:4,0\nend_of_record\n"))
	all.Add(read("SF:src/price.js\nDA:1,0\nDA:2,5\nDA:9,0\nend_of_record\n"))
	if all.Lines != 4 || all.Covered != 2 {
		t.Errorf("%d of %d", all.Covered, all.Lines)
	}
	lines, covered, missed := all.Of(map[string][]report.Range{"src/price.js": {{2, 4}, {6, 6}}, "src/db.js": {{1, 100}}})
	if lines != 2 || covered != 1 || len(missed) != 1 || missed["src/price.js"][0] != (report.Range{From: 4, To: 4}) {
		t.Errorf("%d of %d, %v", covered, lines, missed)
	}
}

// fuzz tries one form, from the files in testdata on. Whatever comes, it ends soon, and what it finds is sound.
func fuzz(f *testing.F, name string) {
	paths, err := filepath.Glob(forms[name].files)
	if err != nil || len(paths) == 0 {
		f.Fatal(paths, err)
	}
	for _, path := range paths {
		data, err := io.ReadAll(open(f, path))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	for _, hostile := range []string{"", "\x00\xff", "<report><package name=\"..\"><sourcefile name=\"../../x\"><line nr=\"1\" ci=\"1\"/>",
		"<!DOCTYPE a [<!ENTITY x \"y\">]><coverage>&x;", "SF:/etc/passwd\nDA:1,1\nSF:\nDA:99999999999999999999,1\n", `[{"uri":"..","elements":[{"steps":[{"result":{"status":"failed","duration":1e300}}]}]}]`,
		`{"runs":[{"results":[{"ruleIndex":-1,"locations":[{"physicalLocation":{"artifactLocation":{"uri":"%2e%2e/%00"},"region":{"startLine":-9}}}]}]}]}`} {
		f.Add([]byte(hostile))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		asked, began := map[string]bool{}, time.Now()
		found, _ := forms[name].read(strings.NewReader(string(data)), known(func(p string) bool { asked[p] = true; return true }))
		sound(t, found, asked)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%d bytes took %v", len(data), took)
		}
	})
}

func FuzzTRX(f *testing.F)       { fuzz(f, "trx") }
func FuzzCucumber(f *testing.F)  { fuzz(f, "cucumber") }
func FuzzSARIF(f *testing.F)     { fuzz(f, "sarif") }
func FuzzCobertura(f *testing.F) { fuzz(f, "cobertura") }
func FuzzJaCoCo(f *testing.F)    { fuzz(f, "jacoco") }
func FuzzLCOV(f *testing.F)      { fuzz(f, "lcov") }
