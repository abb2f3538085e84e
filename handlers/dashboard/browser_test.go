package dashboard_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/test/browser"
)

// The subtests share a browser; each has pages of its own in it.
func TestInABrowser(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	for name, test := range map[string]func(*testing.T, *browser.Browser){
		"every state is sound on a desk and on a phone":            soundEverywhere,
		"nothing of a hostile log runs":                            hostileLogIsText,
		"a log appears while it is written":                        liveLog,
		"the state changes under the reader's hands":               liveState,
		"groups of lines are folded when they have ended well":     foldedGroups,
		"after the server came back no line is lost or doubled":    comesBack,
		"a tab that nobody sees gives its log's connection back":   unseenTab,
		"scrolling up stops following and the button resumes it":   followStops,
		"a link to a line shows and marks it":                      lineLinks,
		"the phases of a buildspec fold":                           phasesFold,
		"a hundred thousand lines stay usable":                     manyLines,
		"a line of a megabyte and a progress bar of five are calm": wideLines,
		"a long log begins near its end":                           longLog,
		"without scripts all but the live log is there":            noScripts,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, b)
		})
	}
}

// calm wants a page that has nothing to complain of, and that asked nobody else for anything.
func calm(t *testing.T, p *browser.Page, server *httptest.Server) {
	t.Helper()
	if all := p.Complaints(); len(all) > 0 {
		t.Errorf("the page complains:\n%s", strings.Join(all, "\n"))
	}
	for _, url := range p.Requests() {
		if !strings.HasPrefix(url, server.URL+"/") && url != "about:blank" {
			t.Errorf("the page asked for %s", url)
		}
	}
	var ran bool
	p.Eval(`"ran" in window`, &ran)
	if ran {
		t.Error("text from outside was run as a script")
	}
}

// wrongs looks for what a person would stumble over: text that is hard to read, things that are hard to hit, a page that
// is wider than the window, and markup that came from outside. It returns sentences.
const wrongs = `(() => {
	const wrong = [];
	const name = (el) => el.tagName.toLowerCase() + (el.className && typeof el.className === "string" ? "." + el.className : "") + " “" + el.textContent.trim().slice(0, 40) + "”";
	const shown = (el) => el.checkVisibility() && el.getBoundingClientRect().width > 1 && !el.closest(".skip, .hidden");
	const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const known = new Map();
	const rgba = (colour) => known.get(colour) || known.set(colour, measure(colour)).get(colour);
	const measure = (colour) => {
		pixel.clearRect(0, 0, 1, 1);
		pixel.fillStyle = colour;
		pixel.fillRect(0, 0, 1, 1);
		const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
		return [r, g, b, a / 255];
	};
	const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const ground = (el) => {
		for (; el; el = el.parentElement) {
			const c = rgba(getComputedStyle(el).backgroundColor);
			if (c[3] > 0.9) return c;
		}
		return [255, 255, 255, 1];
	};
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	const seen = new Set();
	while (walk.nextNode()) {
		const el = walk.currentNode.parentElement;
		if (!walk.currentNode.data.trim() || seen.has(el) || !shown(el) || el.closest("noscript")) continue;
		seen.add(el);
		const ink = rgba(getComputedStyle(el).color), under = ground(el), opacity = Number(getComputedStyle(el).opacity);
		const mixed = ink.slice(0, 3).map((v, i) => v * opacity + under[i] * (1 - opacity));
		const [a, b] = [light(mixed), light(under)].sort((x, y) => y - x);
		if ((a + 0.05) / (b + 0.05) < 4.5) wrong.push("contrast " + ((a + 0.05) / (b + 0.05)).toFixed(2) + ": " + name(el));
	}
	if (document.scrollingElement.scrollWidth > innerWidth) wrong.push("the page is " + document.scrollingElement.scrollWidth + " wide");
	const least = innerWidth < 600 ? 44 : 24;
	for (const el of document.querySelectorAll("a.row, .button, button, .tools a, summary, .top a")) {
		if (shown(el) && el.getBoundingClientRect().height < least && !el.matches(".crumb")) wrong.push("only " + el.getBoundingClientRect().height + " high: " + name(el));
	}
	for (const el of document.querySelectorAll("main *, .log *")) {
		if (!["SECTION", "H1", "H2", "H3", "P", "A", "BDI", "CODE", "TIME", "DIV", "SPAN", "UL", "OL", "LI", "DETAILS", "SUMMARY", "PRE", "B", "DL", "DT", "DD", "I", "BUTTON", "NOSCRIPT"].includes(el.tagName) && !el.closest("svg.icon")) wrong.push("strange markup: " + el.tagName);
		for (const a of el.attributes) if (a.name.startsWith("on") || a.name === "src") wrong.push("strange attribute: " + a.name);
	}
	for (const a of document.querySelectorAll("a")) {
		if (!["http:", "https:"].includes(a.protocol) && a.href) wrong.push("strange link: " + a.href);
		if (a.host !== location.host && a.href && a.rel !== "noopener") wrong.push("a link without noopener: " + a.href);
	}
	const ids = [...document.querySelectorAll("[id]")].map((el) => el.id);
	if (new Set(ids).size < ids.length) wrong.push("an id is there twice");
	for (const state of document.querySelectorAll(".row, .state")) if (!state.querySelector("svg") || !state.textContent.trim()) wrong.push("a state without shape or word: " + name(state));
	return wrong;
})()`

func soundEverywhere(t *testing.T, b *browser.Browser) {
	p := b.Page(t, 1280, 900)
	var weight struct{ Page, Rest int }
	for name, make := range situations {
		s := newShop(t)
		s.define()
		run := make(s)
		server := s.serve()
		paths := []string{address(run)}
		if name == "hostile" || name == "running" {
			paths = append(paths, "/")
		}
		for _, path := range paths {
			p.Open(server.URL + path)
			if path != "/" {
				p.Until(`document.querySelector(".title").dataset.title === document.title && !document.querySelector("time[data-since]:empty")`)
			}
			for _, look := range []struct {
				width  int
				scheme string
			}{{1280, "light"}, {390, "dark"}} {
				p.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": look.width, "height": 844, "deviceScaleFactor": 1, "mobile": look.width < 600}, nil)
				p.Call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": look.scheme}}}, nil)
				var wrong []string
				p.Eval(wrongs, &wrong)
				for _, w := range wrong {
					t.Errorf("%s, %s, at %d in %s: %s", name, path, look.width, look.scheme, w)
				}
			}
		}
		if name == "green, waiting for approval" {
			p.Open(server.URL + address(run))
			p.Eval(`(async () => {
				const all = await Promise.all([location.href, ...[...document.querySelectorAll("link, script")].map((e) => e.href || e.src)].map((u) => fetch(u).then((r) => r.text())));
				return { Page: all[0].length, Rest: all.slice(1).join("").length };
			})()`, &weight)
		}
		calm(t, p, server)
	}
	if t.Logf("a page weighs %d bytes, style, script and icon %d", weight.Page, weight.Rest); weight.Page == 0 || weight.Page+weight.Rest > 60_000 {
		t.Error("that is more than 60 kB")
	}
}

func hostileLogIsText(t *testing.T, b *browser.Browser) {
	s := newShop(t)
	s.define()
	run := situations["hostile"](s)
	server := s.serve()
	p := b.Page(t, 1280, 900)
	p.Open(server.URL + address(run) + "?log=unit/1")
	p.Until(`document.querySelectorAll("#log [data-n]").length >= 18 && log.over && !lines.queue.length`)
	calm(t, p, server)
	var all []string
	p.Eval(`[...document.querySelectorAll("#log [data-n]")].map((row) => row.textContent)`, &all)
	want := []string{
		"<script>window.ran=1</script>", "<img src=x onerror=window.ran=1>", "</pre></section><svg onload=window.ran=1>",
		"a link of a terminal", "another", "after the title", "8;;never ended", "red and bold orange dark black under", "nothing is erased",
		"[==========] done", "right to left: ⟨U+202E⟩exe.txt⟨U+202C⟩ and ⟨U+2066⟩isolated⟨U+2069⟩, שלום",
		"a null ␀ byte, a bell ␇, a C1 ⟨U+009B⟩31m control, and \ufffd\ufffd bytes that are no text",
		"data: not an event", "", "event: end", "id: 1", "", "javascript:window.ran=1 https://example.com", "&lt;b&gt; {{.Title}} ${1} `x`",
	}
	if got := strings.Join(all, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the log shows:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
	var links int
	if p.Eval(`document.querySelectorAll("#log [data-n] :is(a, [style], [onclick])").length`, &links); links > 0 {
		t.Errorf("the log holds %d links or styles", links)
	}
}

func liveLog(t *testing.T, b *browser.Browser) {
	s := newShop(t)
	s.define()
	run := s.request(nil)
	server := s.serve()
	p := b.Page(t, 1280, 900)
	p.Open(server.URL + address(run))
	p.Until(`document.getElementById("log-state").textContent === "nothing runs yet"`)
	p.Eval(`(() => {
		let sum = 0;
		const observer = new PerformanceObserver((list) => list.getEntries().forEach((e) => { sum += e.value; }));
		observer.observe({ type: "layout-shift", buffered: true });
		window.shifted = async () => {
			for (let n = 0; n < 4; n++) await new Promise(requestAnimationFrame);
			observer.takeRecords().forEach((e) => { sum += e.value; });
			return sum;
		};
	})()`, nil)
	s.start(run, "unit", 1)
	p.Until(`document.getElementById("log-name").textContent === "Log of unit" && document.title.startsWith("running")`)
	w := s.writer(run, "unit", 1)
	say := func(text string) {
		_, err := w.Write([]byte(text))
		must(t, err)
	}
	var before, after float64
	p.Eval(`shifted()`, &before)
	say("first\nse")
	p.Until(`document.getElementById("log").innerText.includes("first\nse")`)
	say("cond \xe2\x82")
	p.Until(`document.getElementById("log").innerText.includes("second")`)
	say("\xac\x1b[3")
	say("1m red\x1b[0m\n10%\r")
	p.Until(`document.querySelector("#log .c1")?.textContent === " red" && document.getElementById("log").innerText.endsWith("10%")`)
	say("20%\r30%")
	p.Until(`document.getElementById("log").innerText.endsWith("30%")`)
	say("\rdone\n")
	p.Until(`document.getElementById("log").innerText.endsWith("done")`)
	if p.Eval(`shifted()`, &after); after != before {
		t.Errorf("the layout shifted by %.3f while the log grew", after-before)
	}
	must(t, w.Close())
	s.finish(run, "unit", 1, time.Second, tested)
	p.Until(`document.getElementById("log-state").textContent === "3 lines" && document.getElementById("log").innerText === "first\nsecond € red\ndone"`)
	// The log goes where the work goes, as long as the person has not chosen one.
	s.start(run, "lint", 1)
	s.print(run, "lint", 1, "no warnings\n")
	p.Until(`document.getElementById("log-name").textContent === "Log of lint" && document.getElementById("log").innerText === "no warnings"`)
	p.Eval(`document.querySelector('a[data-log="unit/1"]').click()`, nil)
	p.Until(`document.getElementById("log").innerText.startsWith("first") && new URLSearchParams(location.search).get("log") === "unit/1"`)
	s.finish(run, "lint", 1, time.Second, passed)
	s.start(run, "site", 1)
	p.Until(`document.querySelector('[data-key="step site"] .word').textContent === "running"`)
	if text := p.Text("#log-name"); text != "Log of unit" {
		t.Errorf("the log that was chosen gave way to the %q", text)
	}
	var shifted float64
	if p.Eval(`shifted()`, &shifted); shifted > 0.1 { // https://web.dev/articles/cls
		t.Errorf("the layout shifted by %.3f", shifted)
	}
	calm(t, p, server)
}

func liveState(t *testing.T, b *browser.Browser) {
	s := newShop(t)
	s.now = time.Now().UTC().Add(-90 * time.Second).Truncate(time.Second)
	s.define()
	run := s.request(nil)
	s.start(run, "unit", 1)
	server := s.serve()
	p := b.Page(t, 390, 844)
	p.Open(server.URL + address(run))
	// A duration is counted up without news.
	p.Until(`/^1m [34]\ds$/.test(document.querySelector('[data-key="step unit"] time').textContent)`)
	p.Eval(`window.before = document.querySelector('[data-key="step unit"] time').textContent`, nil)
	p.Until(`document.querySelector('[data-key="step unit"] time').textContent !== before`)
	// What the person holds stays: focus, an open detail, the very elements.
	p.Eval(`(() => {
		window.row = document.querySelector('a[data-log="unit/1"]');
		row.focus();
		document.querySelector('[data-key="step unit"] details').open = true;
		window.icon = document.getElementById("tab").href;
	})()`, nil)
	s.start(run, "lint", 1)
	s.finish(run, "lint", 1, time.Second, passed)
	s.finish(run, "unit", 1, 2*time.Second, tested)
	p.Until(`document.querySelector('[data-key="step unit"] .word').textContent === "passed"`)
	var kept []bool
	p.Eval(`[document.activeElement === row, document.querySelector('[data-key="step unit"] details').open, row.isConnected]`, &kept)
	if fmt.Sprint(kept) != "[true true true]" {
		t.Errorf("focus, open details and the element itself were kept: %v", kept)
	}
	s.start(run, "site", 1)
	s.finish(run, "site", 1, time.Second, built)
	s.end(run)
	p.Until(`document.title.startsWith("passed") && document.getElementById("tab").href !== icon && document.body.innerText.includes("It starts now.")`)
	s.note(deploy.DeployStarted{Environment: "preview/pr-12", Deployment: "preview/pr-12#1", Commit: headCommit, Digest: siteDigest, At: s.later(time.Second)})
	p.Until(`document.body.innerText.includes("preview/pr-12 is being deployed")`)
	s.note(deploy.DeployFinished{Deployment: "preview/pr-12#1", OK: true, At: s.later(time.Second)})
	p.Until(`document.querySelector(".places a.button").href === "https://pr-12.preview.shop.example/"`)
	calm(t, p, server)
}
