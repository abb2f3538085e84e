package dashboard_test

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/handlers/dashboard"
)

func TestGroupsOfLinesAreFolded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"one\n::group::Build <it>\na\n\x1b[31mb\x1b[0m\n::endgroup::\nafter\n":                  `<pre>one</pre><details><summary>Build &lt;it&gt;</summary><pre>a` + "\n" + `<span class="term-fg31">b</span></pre></details><pre>after</pre>`,
		"--- :go: Test\nok\n+++ Deploy\ndone":                                                   `<details><summary>:go: Test</summary><pre>ok</pre></details><details open><summary>Deploy</summary><pre>done</pre></details>`,
		"--- FAIL: TestA (0.00s)\n--- a/x.go\n+++ b/x.go\n--- /dev/null":                        "<pre>--- FAIL: TestA (0.00s)\n--- a&#47;x.go\n+++ b&#47;x.go\n--- &#47;dev&#47;null</pre>",
		"::group::\n::endgroup::":                                                               `<details><summary>group</summary></details>`,
		"\x1b[1m::group::bold\x1b[0m\nx":                                                        `<details><summary>bold</summary><pre>x</pre></details>`,
		"\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07 \x1b]1338;url=x\x07\x1b[9999;9999Hend": "<pre>link end</pre>",
		"10%\r20%\r\n":       "<pre>20%</pre>",
		"::endgroup::\nfree": "<pre>::endgroup::\nfree</pre>",
	} {
		if got := string(dashboard.Folded(text)); got != want {
			t.Errorf("%q became\n%s, want\n%s", text, got, want)
		}
	}
}

var ours = regexp.MustCompile(`</?(?:pre|details|summary|span)>|<details open>|<span class="term-[a-z0-9 -]+">`)

func TestNothingInALogBecomesMarkup(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"<script>", "</pre>", "&", "\"", "'", "\x1b[31m", "\x1b[0m", "\x1b[", "\x1b]8;;", "http://x", "\x07", "\x1b_bk;t=1\x07",
			"\x1b]1339;url=javascript:x;content=y\x07", "::group::", "::endgroup::", "--- ", "+++ ", "\n", "\r", "\t", "ä", "\xff", "\u202e", "a"}), 0, 30).Draw(r, "parts"), "")
		markup := string(dashboard.Folded(text))
		if rest := ours.ReplaceAllString(markup, ""); strings.ContainsAny(rest, "<>\"'\x1b\u202e") {
			r.Fatalf("%q became %s", text, markup)
		}
		for _, tag := range []string{"pre", "details", "summary", "span"} {
			if begins, ends := strings.Count(markup, "<"+tag+">")+strings.Count(markup, "<"+tag+" "), strings.Count(markup, "</"+tag+">"); begins != ends {
				r.Fatalf("%q has %d %s, and ends %d: %s", text, begins, tag, ends, markup)
			}
		}
	})
}
