package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// hostile are words that do something, if anyone lets them. Each shell form would make the file pwned.
func hostile(pwned string) []string {
	return []string{
		"$(touch " + pwned + ")", "`touch " + pwned + "`", "'; touch " + pwned + "; '", "\"; touch " + pwned + " #", "&& touch " + pwned, "| touch " + pwned,
		"${{ github.token }}", "{{ pr }}", "%s%n%x", "..%2f..%2fetc/passwd", "../../../../etc/passwd", "\u202egnp.exe", "::set-env name=PATH::x", "\x1b[31mred\x1b[0m",
		"@everyone", "@maintainer", "@octo/release", "#1", "octo/shop#1", "https://evil.example/@maintainer", "![x](https://evil.example/x.png)", "<img src=x onerror=alert(1)>",
		"</td></tr></table>", "<!-- conveyor:conveyor/panel -->", "```\n/approve production\n```", "| a | b |", "\\", "a\r\nb", "-rf", "--upload-pack=touch " + pwned, "\u2028/approve production",
	}
}

// hostileBranches are names that git takes.
func hostileBranches(pwned string) []string {
	return []string{
		"$(touch${IFS}" + pwned[1:] + ")", "`touch${IFS}b`;c|d&&e", "a'b\"c", "--upload-pack=x", "@everyone", "\u202egnp",
		"%2e%2e%2f", "{{pr}}<b>x", "feature/@maintainer/#1/né😀",
	}
}

// mentions finds what would ping someone: an @ before a name, outside of code.
var (
	mention  = regexp.MustCompile(`@[A-Za-z0-9]`)
	fences   = regexp.MustCompile("(?ms)^(`{3,})[^`\n]*\n.*?^`{3,}\\s*$")
	codeSpan = regexp.MustCompile("`[^`\n]+`")
	hidden   = regexp.MustCompile(`(?s)<!--.*?-->`)
)

func mentions(markdown string) []string {
	for _, code := range []*regexp.Regexp{fences, codeSpan, hidden} {
		markdown = code.ReplaceAllString(markdown, "")
	}
	var found []string
	for line := range strings.Lines(markdown) {
		if mention.MatchString(line) {
			found = append(found, line)
		}
	}
	return found
}

// cells counts the cells of a table's row: a bar that is written as text does not end one.
func cells(row string) int { return strings.Count(strings.ReplaceAll(row, `\|`, ""), "|") - 1 }

// brokenRows are the lines by which a Markdown table falls apart: rows with other cells than its head, or whose code is not
// closed within the row. A table ends at an empty line.
func brokenRows(markdown string) (broken []string) {
	width := 0
	for line := range strings.Lines(fences.ReplaceAllString(markdown, "")) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
			width = 0
		case width == 0 && strings.HasPrefix(line, "|"):
			width = cells(line)
		case width > 0 && (!strings.HasPrefix(line, "|") || cells(line) != width || strings.Count(codeSpan.ReplaceAllString(line, ""), "`") > 0):
			broken = append(broken, line)
		}
	}
	return broken
}

func TestABrokenTableIsFound(t *testing.T) {
	t.Parallel()
	const head = "| | Where |\n|---|---|\n"
	for text, want := range map[string]int{
		head + "| x | `a` |\n\nno more\n": 0, head + "| x | a \\| b |\n": 0, head + "| x | a | b |\n": 1, head + "| x | a\nb |\n": 2, head + "| x | `a |\n": 1,
	} {
		if got := brokenRows(text); len(got) != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// harmless wants nothing executed, and no person, issue or address in anything that the App has written.
func (h *house) harmless(pwned string) {
	h.t.Helper()
	if _, err := os.Stat(pwned); !os.IsNotExist(err) {
		h.t.Errorf("something was executed: %s is there (%v)", pwned, err)
	}
	quiet := func(where, text string) {
		for _, m := range mentions(text) {
			h.t.Errorf("%s mentions: %q", where, m)
		}
		for _, live := range []string{"<img", "![x]", "</td>", "\u202e", "\x1b"} {
			if strings.Contains(codeSpan.ReplaceAllString(fences.ReplaceAllString(text, ""), ""), live) {
				h.t.Errorf("%s holds a live %q", where, live)
			}
		}
		for _, line := range brokenRows(text) {
			h.t.Errorf("%s has a table that this breaks: %q", where, line)
		}
		if len(text) > 65536 {
			h.t.Errorf("%s has %d bytes", where, len(text))
		}
	}
	h.gh.Look(func(v *github.View) {
		for n := int64(1); ; n++ {
			if _, ok := v.Pull(repo, n); !ok {
				break
			}
			for _, c := range v.Comments(repo, n) {
				if strings.HasSuffix(c.Author, "[bot]") {
					quiet("a comment", c.Body)
				}
			}
		}
		for _, run := range v.CheckRuns(repo, "") {
			quiet("a check", run.Title+"\n\n"+run.Summary)
		}
		for _, d := range v.Deployments(repo, "") {
			quiet("a deployment", d.Description)
			for _, s := range d.Statuses {
				quiet("a deployment's status", s.Description)
			}
		}
	})
}

func TestHostileWordsInTitlesMessagesAndCommentsAreWords(t *testing.T) {
	t.Parallel()
	h := open(t)
	pwned := filepath.Join(t.TempDir(), "pwned")
	if err := os.Chmod(filepath.Dir(pwned), 0o777); err != nil {
		t.Fatal(err)
	}
	words := hostile(pwned)
	all := strings.Join(words, " ")
	files := withSites("one")
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "mkdir dist", "cat words; env; eval true; mkdir dist", 1)
	files["words"] = strings.Join(words, "\n") + "\n"
	first := h.push("main", "author", all+"\n\n/approve production\n\n"+all, files)
	h.deployed("staging", first)
	pull := must(h.gh.OpenPull(repo, "author", all, h.hostileChange(words), "main"))(t)
	run := h.concluded(pull.HeadSHA, "conveyor / test")
	if run.Conclusion != "failure" {
		t.Fatalf("the step should show the words and fail: %s", run.Conclusion)
	}
	for some := range slices.Chunk(words, 8) {
		h.comment(pull, "author", strings.Join(some, "\n\n"))
		approve := ""
		for _, w := range some[:min(2, len(some))] { // GitHub takes eighty new things a minute, and each answer is three
			approve += "/approve " + strings.Fields(w + " x")[0] + "\n"
		}
		h.comment(pull, "maintainer", approve)
	}
	h.comment(pull, "maintainer", all)
	h.comment(pull, "maintainer", strings.Repeat("/approve production ", 65536/20))
	h.comment(pull, "maintainer", strings.Repeat("`@everyone` ", 5000))
	h.comment(pull, "maintainer", "/aprove $(id) @everyone")
	h.answered(pull, "Did you mean")
	h.ends()
	h.harmless(pwned)
	h.gh.Look(func(v *github.View) {
		if n := len(v.Deployments(repo, "production")); n != 0 {
			t.Errorf("a hostile word deployed to production")
		}
	})
}

// hostileChange is a branch whose step prints the words, reports them, and fails.
func (h *house) hostileChange(words []string) string {
	h.t.Helper()
	files := plan("cat words\nexit 1", "        reports: {junit: report.xml}")
	files["words"] = strings.Join(words, "\n") + "\n"
	var b strings.Builder
	b.WriteString("<testsuite>\n")
	for _, w := range words {
		w = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\x1b", "", "\r", "", "\n", "&#10;").Replace(w)
		fmt.Fprintf(&b, "<testcase name=\"%s\" classname=\"%s\" file=\"words\" line=\"1\"><failure message=\"%s\">%s</failure></testcase>\n", w, w, w, w)
	}
	files["report.xml"] = b.String() + "</testsuite>\n"
	h.push("hostile", "author", "change", files)
	return "hostile"
}

func TestHostileBranchNamesAreNames(t *testing.T) {
	t.Parallel()
	h := open(t)
	pwned := filepath.Join(t.TempDir(), "pwned")
	files := withSites("one")
	files[".github/conveyor.yml"] = strings.Replace(files[".github/conveyor.yml"], "mkdir dist", `printf 'branch=%s.\n' "$CONVEYOR_BRANCH"; mkdir dist`, 1)
	first := h.push("main", "author", "first", files)
	h.deployed("staging", first)
	var pulls []github.Pull
	for i, branch := range hostileBranches(pwned) {
		must(h.gh.Commit(repo, branch, "author", "change", map[string]string{"page.html": fmt.Sprint(i)}))(t)
		pulls = append(pulls, must(h.gh.OpenPull(repo, "author", branch, branch, "main"))(t))
	}
	for i, pull := range pulls {
		if run := h.concluded(pull.HeadSHA, "conveyor / test"); run.Conclusion != "success" {
			t.Errorf("%q: %s %s", pull.HeadRef, run.Conclusion, run.Title)
		}
		env := fmt.Sprintf("preview/pr-%d", pull.Number)
		h.deployed(env, pull.HeadSHA)
		h.serves(env, fmt.Sprint(i))
	}
	h.ends()
	h.harmless(pwned)
	printed := ""
	for _, name := range must(filepath.Glob(filepath.Join(h.config.DataDir, "logs", "run", "*", "*", "unit", "*.log")))(t) {
		printed += string(must(os.ReadFile(name))(t))
	}
	for _, branch := range hostileBranches(pwned) {
		if !strings.Contains(printed, "branch="+branch+".\n") {
			t.Errorf("no step was told of the branch %q as it is", branch)
		}
	}
}

func TestAPlanThatIsTooLargeIsShownAsAMistake(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.push("main", "author", "first", plan("true"))
	files := plan("true")
	files[".github/conveyor.yml"] += strings.Repeat("# a very long plan\n", 20_000)
	pull := h.pull("large", files)
	run := h.concluded(pull.HeadSHA, "conveyor / plan")
	if run.Conclusion != "failure" || len(run.Annotations) != 1 || !strings.Contains(run.Annotations[0].Message, "larger than") {
		t.Errorf("%s: %+v", run.Conclusion, run.Annotations)
	}
	h.ends()
}
