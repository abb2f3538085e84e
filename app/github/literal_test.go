package github_test

import (
	"bytes"
	"html"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/app/github"
)

var (
	markdown = goldmark.New(goldmark.WithExtensions(extension.GFM))
	tags     = regexp.MustCompile(`<[^>]*>`)
	// What GitHub looks for in the text that Markdown leaves.
	found = regexp.MustCompile(`(?i)@[a-z0-9]|#[0-9]|gh-[0-9]|https?://|ftp://|www\.|(mailto|xmpp):[a-z0-9]|[a-z0-9]@[a-z0-9]|\$[^\x{200b}]`)
)

func render(t interface{ Fatal(...any) }, source string) string {
	var out bytes.Buffer
	if err := markdown.Convert([]byte(source), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// harmless reports what the literal does besides being read; empty is right.
func harmless(t interface{ Fatal(...any) }, text string) string {
	literal := github.Literal(text)
	page := render(t, "before "+literal+" after")
	for _, tag := range tags.FindAllString(page, -1) {
		if tag != "<p>" && tag != "</p>" {
			return "it makes " + tag + " in " + page
		}
	}
	plain := html.UnescapeString(tags.ReplaceAllString(page, ""))
	if m := found.FindString(plain); m != "" {
		return "GitHub finds " + m + " in " + plain
	}
	if page = render(t, literal); strings.Count(page, "<p>") > 1 || len(tags.FindAllString(page, -1)) > 2 {
		return "at the start of a line it makes " + page
	}
	table := render(t, "| a | b |\n|---|---|\n| "+literal+" | c |\n")
	if strings.Count(table, "<td>") != 2 || !strings.Contains(table, "<td>c</td>") {
		return "in a table it makes " + table
	}
	return ""
}

var hostile = []string{
	"plain words", "@ada please", "@acme/release", "hi@example.com", "ada＠x", "#12", "acme/shop#12", "GH-12", "gh-7 GH-8",
	"https://evil.example/x", "HTTP://EVIL", "ftp://x", "www.evil.example", "WWW.evil", "mailto:a@b.c", "<https://evil>", "<a@b.c>",
	"[click](https://evil)", "![i](http://evil/p.png)", "[a]: http://evil", "[a][b]", "<script>alert(1)</script>", "<img src=x onerror=1>",
	"<!-- conveyor:x -->", "-->", "&#64;ada", "&commat;ada", "&lt;b&gt;", `\@ada`, `\\@ada`, "`code`", "``` fence", "```\n@ada\n```", "~~~", "~~strike~~",
	"*b* _i_ **b** __b__", "# heading", "text\n===", "text\n---", "- list", "* list", "+ list", "1. list", "1) list", "> quote", "    code", "\tcode",
	"| a | b |", "a|b", `a\|b`, "[ ] task", "- [x] task", "$x$ $$y$$", "a\r\nb\rc\n\n\nd", "\u202egnp.exe\u202c", "\u200b@\u200bada", "@\u200dada", "a\x00b\x1b[31mred\x07", "\u2066x\u2069",
	"\xff\xfe@ada\xc3", "^[1]", "[^1]: note", ":tada:", "a  \nb", "a\\\nb", "\ufeff#1", "\U000e0041\U000e0042", "'\"x\"'", "&amp;#35;1", "&", "\\", "|", "", "   ",
	"fixes #1, closes acme/shop#2", "0123456789abcdef0123456789abcdef01234567", strings.Repeat("`", 80), strings.Repeat("[", 400), strings.Repeat("𝔘", 2000),
}

func TestHostileTextIsNothingButText(t *testing.T) {
	t.Parallel()
	for _, text := range hostile {
		if wrong := harmless(t, text); wrong != "" {
			t.Errorf("%q: %s", text, wrong)
		}
	}
}

func TestAnyMixtureOfHostileTextIsNothingButText(t *testing.T) {
	t.Parallel()
	part := rapid.OneOf(rapid.SampledFrom(hostile), rapid.String(), rapid.SampledFrom(strings.Split("@#&<>|`*_[]()!-+.\\\n $~:/wW", "")))
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(part, 1, 8).Draw(t, "parts"), "")
		if wrong := harmless(t, text); wrong != "" {
			t.Fatalf("%q: %s", text, wrong)
		}
	})
}

func TestALiteralReadsAsItWasWritten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"fix: don't *crash* on <nil> & \\ | `x` [a](b) #12 @ada $5 https://x.y/z_w", "Ünïcödé 日本語 👩\u200d👩\u200d👧 می\u200cخواهم", "1. first - 2) second + third"} {
		shown := strings.TrimSpace(html.UnescapeString(tags.ReplaceAllString(render(t, github.Literal(text)), "")))
		if got := strings.ReplaceAll(shown, "\u200b", ""); got != text {
			t.Errorf("got  %q\nwant %q", got, text)
		}
	}
	if n := len([]rune(github.Literal(strings.Repeat("x", 100_000)))); n != 500 {
		t.Errorf("an endless text became %d long", n)
	}
}

func TestNothingCanEndABlock(t *testing.T) {
	t.Parallel()
	part := rapid.OneOf(rapid.SampledFrom(hostile), rapid.SampledFrom([]string{"`", "```", "\n```\n", "\n````\n", "~~~", "\n", " ", "<b>", "@ada"}))
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(part, 0, 20).Draw(t, "parts"), "")
		page := render(t, "before\n\n"+github.Block(text)+"\nafter\n")
		within := strings.TrimSuffix(strings.TrimPrefix(page, "<p>before</p>\n<pre><code class=\"language-text\">"), "</code></pre>\n<p>after</p>\n")
		if len(page)-len(within) < 70 || tags.MatchString(within) {
			t.Fatalf("%q: %s", text, page)
		}
		if strings.IndexFunc(within, func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }) >= 0 {
			t.Fatalf("%q: direction marks are left", text)
		}
	})
}
