package dashboard_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/test/browser"
)

func comesBack(t *testing.T, b *browser.Browser) {
	s := newShop(t)
	s.define()
	run := s.request(nil)
	s.start(run, "unit", 1)
	w := s.writer(run, "unit", 1)
	server := s.serveAt("127.0.0.1:0")
	addr := server.Listener.Addr().String()
	p := b.Page(t, 1280, 900)
	p.Open("http://" + addr + address(run))
	var want []string
	for round := range 3 {
		for i := range 500 {
			line := fmt.Sprintf("round %d, line %d: 50 €", round, i)
			want = append(want, line)
			_, err := w.Write([]byte(line + "\n"))
			must(t, err)
		}
		_, err := fmt.Fprintf(w, "half a line of round %d, ", round) // the break is in the middle of it
		must(t, err)
		p.Until(fmt.Sprintf(`document.getElementById("log").innerText.includes("half a line of round %d") && document.getElementById("lost").hidden`, round))
		server.CloseClientConnections()
		server.Close()
		_, err = fmt.Fprint(w, "and its end\n")
		must(t, err)
		want = append(want, fmt.Sprintf("half a line of round %d, and its end", round))
		p.Until(`!document.getElementById("lost").hidden`)
		if round == 1 {
			// A proxy answers for the server that is not there: to that, the browser itself would give in.
			proxy, asked := proxyAt(t, addr)
			for seen := map[string]bool{}; len(seen) < 2; seen[<-asked] = true {
			}
			proxy.Close()
		}
		server = s.serveAt(addr)
	}
	must(t, w.Close())
	s.finish(run, "unit", 1, time.Second, passed)
	p.Until(`document.getElementById("lost").hidden && log.over && document.querySelector('[data-key="step unit"] .word').textContent === "passed"`)
	p.Until(`!lines.queue.length`)
	var got []string
	p.Eval(`[...document.querySelectorAll("#log [data-n]")].map((row) => row.textContent)`, &got)
	if len(got) != len(want) {
		t.Errorf("%d lines are there, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("line %d is %q, want %q", i+1, got[i], want[i])
		}
	}
	server.CloseClientConnections()
	server.Close()
}

func unseenTab(t *testing.T, b *browser.Browser) {
	s := newShop(t)
	s.define()
	run := s.request(nil)
	s.start(run, "unit", 1)
	w := s.writer(run, "unit", 1)
	say := func(text string) {
		_, err := w.Write([]byte(text))
		must(t, err)
	}
	say("one\ntw")
	server := s.serve()
	p := b.Page(t, 1280, 900)
	p.Open(server.URL + address(run))
	p.Until(`document.getElementById("log").innerText === "one\ntw"`)
	look := func(hidden bool) {
		p.Eval(fmt.Sprintf(`(() => {
			Object.defineProperty(document, "hidden", { value: %t, configurable: true });
			document.dispatchEvent(new Event("visibilitychange"));
		})()`, hidden), nil)
	}
	asked := func() (n int) {
		for _, url := range p.Requests() {
			if strings.Contains(url, "/log/") {
				n++
			}
		}
		return n
	}
	asked()
	look(true)
	say("o\nthree\n")
	s.start(run, "lint", 1) // the state still comes
	p.Until(`document.body.innerText.includes("unit and lint run now.")`)
	if text := p.Text("#log"); text != "one\ntw" || asked() != 0 {
		t.Errorf("a tab that nobody sees asked for its log, and shows %q", text)
	}
	look(false)
	p.Until(`document.getElementById("log").innerText === "one\ntwo\nthree"`)
	must(t, w.Close())
	calm(t, p, server)
}

// proxyAt is what stands before a server that is not there.
func proxyAt(t *testing.T, addr string) (*httptest.Server, <-chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	must(t, err)
	asked := make(chan string, 100)
	proxy := &httptest.Server{Listener: listener, Config: &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no server", http.StatusBadGateway)
		asked <- r.URL.Path
	})}}
	proxy.Start()
	return proxy, asked
}

// numbered is a log of n lines.
func numbered(n int) string {
	var text strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&text, "line %d of a log \x1b[32mwith some\x1b[0m colour %s\n", i, strings.Repeat(".", i%70))
	}
	return text.String()
}

func followStops(t *testing.T, b *browser.Browser) {
	s := newShop(t)
	s.define()
	run := s.request(nil)
	s.start(run, "unit", 1)
	w := s.writer(run, "unit", 1)
	_, err := w.Write([]byte(numbered(300)))
	must(t, err)
	server := s.serve()
	p := b.Page(t, 1280, 900)
	p.Open(server.URL + address(run))
	const atEnd = `(box.scrollHeight - box.scrollTop - box.clientHeight < 4)`
	p.Until(`lines.last === 300 && ` + atEnd + ` && document.getElementById("down").hidden`)
	p.Call("Input.dispatchMouseEvent", map[string]any{"type": "mouseWheel", "x": 900, "y": 500, "deltaX": 0, "deltaY": -600}, nil)
	p.Until(`document.getElementById("down").textContent === "To the end" && !document.getElementById("down").hidden`)
	// Where a line stands in the window, once the wheel has come to rest.
	const place = `(async () => {
		for (let still = 0, last = NaN; still < 5; still = box.scrollTop === last ? still + 1 : 0, last = box.scrollTop) await new Promise(requestAnimationFrame);
		window.row ||= document.elementFromPoint(900, 500).closest("[data-n]");
		return row.getBoundingClientRect().top;
	})()`
	var before, after float64
	p.Eval(place, &before)
	_, err = w.Write([]byte("one\ntwo\n"))
	must(t, err)
	p.Until(`document.getElementById("down").textContent === "2 new lines"`)
	if p.Eval(place, &after); after != before {
		t.Errorf("a line moved from %v to %v while it was read", before, after)
	}
	p.Eval(`document.getElementById("down").click()`, nil)
	p.Until(atEnd + ` && document.getElementById("down").hidden`)
	_, err = w.Write([]byte("three\n"))
	must(t, err)
	p.Until(`lines.last === 303 && ` + atEnd)
	must(t, w.Close())
	calm(t, p, server)
}

func lineLinks(t *testing.T, b *browser.Browser) {
	s := newShop(t)
	s.define()
	run := s.request(nil)
	s.start(run, "lint", 1)
	s.finish(run, "lint", 1, time.Second, passed)
	s.start(run, "unit", 1)
	s.print(run, "unit", 1, strings.Replace(numbered(3000), "line 2000 of", "ERROR: line 2000 of", 1))
	s.finish(run, "unit", 1, time.Second, pipeline.Result{Outcome: pipeline.Failed, ExitCode: 1, Reason: "exit code 1"})
	server := s.serve()
	p := b.Page(t, 1280, 900)
	const inView = `(() => { const r = document.querySelector("#log .marked")?.getBoundingClientRect(), b = box.getBoundingClientRect(); return r && r.top >= b.top && r.bottom <= b.bottom; })()`
	marked := func() (text string) {
		p.Eval(`[...document.querySelectorAll("#log .marked")].map((r) => r.dataset.n).join(" ")`, &text)
		return text
	}
	p.Open(server.URL + address(run) + "?log=unit/1#L1200-L1203")
	p.Until(`lines.last === 3000 && ` + inView)
	if got := marked(); got != "1200 1201 1202 1203" {
		t.Errorf("the lines %s are marked", got)
	}
	p.Eval(`location.hash = "#L5"`, nil)
	p.Until(inView + ` && document.querySelector("#log .marked").dataset.n === "5"`)
	// A click on a number links to it.
	p.Eval(`new Promise((done) => { let n = 6; const frame = () => (n-- ? requestAnimationFrame(frame) : done()); frame(); })`, nil)
	var at struct{ X, Y float64 }
	p.Eval(`(() => { const r = lines.row(7).getBoundingClientRect(); return { X: r.left + 30, Y: r.top + 8 }; })()`, &at)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		p.Call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil)
	}
	p.Until(`location.hash === "#L7"`)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		p.Call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at.X, "y": at.Y - 40, "button": "left", "clickCount": 1, "modifiers": 8}, nil)
	}
	p.Until(`location.hash === "#L5-L7"`)
	if got := marked(); got != "5 6 7" {
		t.Errorf("the lines %s are marked", got)
	}
	p.Eval(`document.getElementById("first-error").click()`, nil)
	p.Until(inView + ` && document.querySelector("#log .marked").dataset.n === "2000"`)
	calm(t, p, server)
}

// usable measures a page with a log: how long until the log is there, how long the longest frame took meanwhile, and how
// long a jump to any place takes.
func usable(t *testing.T, p *browser.Page, url, there string) (load, longest, jump float64) {
	t.Helper()
	p.Call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": `
		window.longest = 0;
		new PerformanceObserver((list) => { for (const e of list.getEntries()) longest = Math.max(longest, e.duration); }).observe({ type: "longtask" });`}, nil)
	p.Open(url)
	p.Until(there)
	p.Eval(`performance.now()`, &load)
	p.Eval(`longest`, &longest)
	p.Eval(`(async () => {
		let worst = 0;
		for (const part of [0, 0.5, 0.25, 0.9, 0.1, 1]) {
			const from = performance.now();
			box.scrollTop = part * box.scrollHeight;
			await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
			worst = Math.max(worst, performance.now() - from);
		}
		return worst;
	})()`, &jump)
	t.Logf("there after %.0f ms, longest task %.0f ms, a jump at most %.0f ms", load, longest, jump)
	return load, longest, jump
}

func manyLines(t *testing.T, b *browser.Browser) {
	s := newShop(t)
	s.define()
	run := s.request(nil)
	s.start(run, "unit", 1)
	text := numbered(100_000) // under 8 MB, so that all of it is shown
	s.print(run, "unit", 1, text)
	s.finish(run, "unit", 1, time.Second, passed)
	server := s.serve()
	p := b.Page(t, 1280, 900)
	load, longest, _ := usable(t, p, server.URL+address(run), `lines.last === 100000 && !lines.queue.length`)
	if longest > load/2 { // whatever the machine: the page is laid out in many small pieces, and never in one
		t.Errorf("one task took %.0f ms of %.0f", longest, load)
	}
	var rows int
	if p.Eval(`document.querySelectorAll("#log [data-n]").length`, &rows); rows != 100_000 {
		t.Errorf("%d lines are in the page", rows)
	}
	calm(t, p, server)
}

func wideLines(t *testing.T, b *browser.Browser) {
	s := newShop(t)
	s.define()
	run := s.request(nil)
	s.start(run, "unit", 1)
	s.start(run, "lint", 1)
	var bar strings.Builder
	for i := 0; bar.Len() < 5<<20; i++ {
		fmt.Fprintf(&bar, "\x1b[32m[%-50s]\x1b[0m %d\r", strings.Repeat("=", i%51), i)
	}
	s.print(run, "unit", 1, "before\n"+strings.Repeat("wide ", 1<<18)+"end\nafter\n")
	s.print(run, "lint", 1, "before\n"+bar.String()+"\nafter\n")
	server := s.serve()
	p := b.Page(t, 390, 844)
	for _, step := range []string{"unit", "lint"} {
		load, longest, _ := usable(t, p, server.URL+address(run)+"?log="+step+"/1", `lines.last === 3 && log.over && !lines.queue.length`)
		if load > 10_000 || longest > 2_000 {
			t.Errorf("%s is too slow", step)
		}
		var rows []string
		p.Eval(`[...document.querySelectorAll("#log [data-n]")].map((row) => row.textContent)`, &rows)
		if len(rows) != 3 || rows[0] != "before" || rows[2] != "after" || len(rows[1]) > 10_100 {
			t.Fatalf("%s shows %.300q", step, rows)
		}
		if step == "unit" && !strings.HasSuffix(rows[1], "… and 1,300,723 characters more: see Raw") || step == "lint" && !strings.HasPrefix(rows[1], "[=") {
			t.Errorf("%s shows %.20q … %q", step, rows[1], rows[1][len(rows[1])-60:])
		}
	}
	calm(t, p, server)
}

func longLog(t *testing.T, b *browser.Browser) {
	s := newShop(t)
	s.define()
	run := s.request(nil)
	s.start(run, "unit", 1)
	s.pages.Shorten(1<<20, 5_000)
	s.print(run, "unit", 1, numbered(20_000))
	s.finish(run, "unit", 1, time.Second, passed)
	server := s.serve()
	p := b.Page(t, 1280, 900)
	p.Open(server.URL + address(run))
	p.Until(`lines.last === 20000 && !lines.queue.length`)
	if text := p.Text("#log .note"); text != "The first 14,999 lines are not shown here: see Raw." {
		t.Errorf("the note says %q", text)
	}
	p.Open(server.URL + address(run) + "?log=unit/1#L9500")
	p.Until(`document.querySelector("#log .marked")?.textContent.startsWith("line 9500 of")`)
	calm(t, p, server)
}

func phasesFold(t *testing.T, b *browser.Browser) {
	s := newShop(t)
	s.define()
	run := s.request(nil)
	s.start(run, "unit", 1)
	w := s.writer(run, "unit", 1)
	const at = "[Container] 2026/11/23 14:03:35 "
	say := func(text string) {
		_, err := w.Write([]byte(text))
		must(t, err)
	}
	say(at + "Entering phase INSTALL\ninstalled\n" + at + "Phase complete: INSTALL State: SUCCEEDED\n" + at + "Entering phase BUILD\nbuilding\n")
	server := s.serve()
	p := b.Page(t, 1280, 900)
	p.Open(server.URL + address(run))
	p.Until(`document.getElementById("log").innerText.includes("building")`)
	if text := p.Text("#log"); strings.Contains(text, "installed") || !strings.Contains(text, "building") || !strings.Contains(text, "INSTALL State: SUCCEEDED") {
		t.Errorf("after INSTALL has ended, and while BUILD runs, the log shows:\n%s", text)
	}
	say("broken\n" + at + "Phase complete: BUILD State: FAILED\n")
	must(t, w.Close())
	p.Until(`document.getElementById("log").innerText.includes("BUILD State: FAILED")`)
	if text := p.Text("#log"); !strings.Contains(text, "broken") {
		t.Errorf("a phase that failed is folded:\n%s", text)
	}
	p.Eval(`document.querySelector("#log details summary").click()`, nil)
	p.Until(`document.getElementById("log").innerText.includes("installed")`)
	calm(t, p, server)
}

func noScripts(t *testing.T, b *browser.Browser) {
	s := newShop(t)
	s.define()
	run := green(s)
	server := s.serve()
	p := b.Page(t, 390, 844)
	p.Call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	p.Open(server.URL + address(run))
	text := p.Text("body")
	for _, want := range []string{"passed", "/approve production@5d6e7f8", "unit", "128 tests passed", "site", "38 files, 1.2 MB", "staging", "2026-11-23 14:03:35 UTC", "built in 5.37s"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not shown:\n%s", want, text)
		}
	}
	var link string
	p.Eval(`document.querySelector('a[data-log="unit/1"]').href`, &link)
	p.Open(link)
	if log := p.Text("#log"); !strings.Contains(log, "128 passed") {
		t.Errorf("the log that was chosen shows:\n%s", log)
	}
	var raw string
	p.Eval(`document.getElementById("raw").href`, &raw)
	if raw != server.URL+address(run)+"/log/unit/1" {
		t.Errorf("the raw log is %s", raw)
	}
}

func foldedGroups(t *testing.T, b *browser.Browser) {
	s := newShop(t)
	s.define()
	run := s.request(nil)
	s.start(run, "unit", 1)
	w := s.writer(run, "unit", 1)
	say := func(text string) {
		_, err := w.Write([]byte(text))
		must(t, err)
	}
	say("before\n::group::Install <b>\nadded 1\nadded 2\n")
	server := s.serveAt("127.0.0.1:0")
	defer server.Close()
	defer server.CloseClientConnections()
	p := b.Page(t, 1280, 900)
	p.Open(server.URL + address(run))
	seen := func() (rows []string) {
		p.Eval(`[...document.querySelectorAll("#log [data-n]")].filter((row) => row.getClientRects().length).map((row) => row.dataset.n + " " + row.textContent)`, &rows)
		return rows
	}
	is := func(when string, want ...string) {
		t.Helper()
		if got := seen(); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	p.Until(`lines.last === 4 && !lines.queue.length`)
	is("while it is written, a group is open", "1 before", "2 Install <b>", "3 added 1", "4 added 2")
	say("::endgroup::\n::group::Compile\nerror: bad\n::endgroup::\n--- Test\nok 1\n--- PASS: TestA (0.00s)\n+++ Upload\nsent\n--- Last\ngoes on\n")
	p.Until(`lines.last === 15 && !lines.queue.length`)
	is("what ended well is folded", "1 before", "2 Install <b>", "6 Compile", "7 error: bad", "9 Test", "12 Upload", "13 sent", "14 Last", "15 goes on")
	p.Eval(`document.querySelector("#log summary").click()`, nil)
	p.Until(`lines.row(3).getClientRects().length === 1`)
	is("a click opens a group", "1 before", "2 Install <b>", "3 added 1", "4 added 2", "6 Compile", "7 error: bad", "9 Test", "12 Upload", "13 sent", "14 Last", "15 goes on")
	p.Eval(`location.hash = "#L11"`, nil)
	p.Until(`lines.row(11).getClientRects().length === 1`)
	is("a link to a line opens its group", "1 before", "2 Install <b>", "3 added 1", "4 added 2", "6 Compile", "7 error: bad", "9 Test", "10 ok 1", "11 --- PASS: TestA (0.00s)", "12 Upload", "13 sent", "14 Last", "15 goes on")
	must(t, w.Close())
}
