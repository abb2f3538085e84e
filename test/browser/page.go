package browser

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// Page is a tab of its own: it shares no storage with the others.
type Page struct {
	t       testing.TB
	b       *Browser
	session string

	mu         sync.Mutex
	complaints []string
	requests   []string
}

// Page opens an empty tab with a window of the given size, in pixels.
func (b *Browser) Page(t testing.TB, width, height int) *Page {
	t.Helper()
	p := &Page{t: t, b: b}
	var context struct {
		ID string `json:"browserContextId"`
	}
	b.ask(t, "Target.createBrowserContext", nil, &context)
	var target struct {
		ID string `json:"targetId"`
	}
	b.ask(t, "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": context.ID, "width": width, "height": height}, &target)
	var attached struct {
		Session string `json:"sessionId"`
	}
	b.ask(t, "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	p.session = attached.Session
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	t.Cleanup(func() {
		_, _ = b.call("", "Target.disposeBrowserContext", map[string]any{"browserContextId": context.ID}) // or it goes with the browser
	})
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.Call(domain+".enable", nil, nil)
	}
	p.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	p.Call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": `
		window.complaints = [];
		document.addEventListener("securitypolicyviolation", (e) => complaints.push("CSP: " + e.violatedDirective + " " + e.blockedURI + " " + e.sample));
		addEventListener("unhandledrejection", (e) => complaints.push("rejected: " + e.reason));`}, nil)
	return p
}

func (b *Browser) ask(t testing.TB, method string, params, into any) {
	t.Helper()
	result, err := b.call("", method, params)
	if err == nil && into != nil {
		err = json.Unmarshal(result, into)
	}
	must(t, err)
}

// Call asks for anything that the protocol knows.
func (p *Page) Call(method string, params, into any) {
	p.t.Helper()
	result, err := p.b.call(p.session, method, params)
	if err == nil && into != nil {
		err = json.Unmarshal(result, into)
	}
	must(p.t, err)
}

// hear notes what the page complains of, and what it asks for.
func (p *Page) hear(m message) {
	var said struct {
		Type             string
		Entry            struct{ Level, Source, Text, URL string }
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
		Args    []struct{ Value any }
		Request struct{ URL string }
	}
	_ = json.Unmarshal(m.Params, &said) // what does not fit is none of these
	p.mu.Lock()
	defer p.mu.Unlock()
	switch m.Method {
	case "Log.entryAdded":
		if said.Entry.Level == "error" || said.Entry.Source == "security" {
			p.complaints = append(p.complaints, said.Entry.Source+": "+said.Entry.Text+" "+said.Entry.URL)
		}
	case "Runtime.exceptionThrown":
		p.complaints = append(p.complaints, "exception: "+said.ExceptionDetails.Text+" "+said.ExceptionDetails.Exception.Description)
	case "Runtime.consoleAPICalled":
		if said.Type == "error" || said.Type == "warning" {
			p.complaints = append(p.complaints, fmt.Sprint("console: ", said.Args))
		}
	case "Page.javascriptDialogOpening":
		p.complaints = append(p.complaints, "a dialog was opened")
	case "Network.requestWillBeSent":
		p.requests = append(p.requests, said.Request.URL)
	}
}

// Open goes to an address, and waits until the page and what it is made of have been loaded.
func (p *Page) Open(url string) {
	p.t.Helper()
	var went struct {
		ErrorText string
	}
	p.Call("Page.navigate", map[string]any{"url": url}, &went)
	if went.ErrorText != "" {
		p.t.Fatalf("%s: %s", url, went.ErrorText)
	}
	p.Until(`document.readyState === "complete" && location.href !== "about:blank"`)
}

// Eval evaluates an expression in the page; a promise is waited for.
func (p *Page) Eval(expression string, into any) {
	p.t.Helper()
	if err := p.eval(expression, into); err != nil {
		p.t.Fatal(err)
	}
}

func (p *Page) eval(expression string, into any) error {
	result, err := p.b.call(p.session, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true})
	if err != nil {
		return err
	}
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Exception struct{ Description string }
		}
	}
	if err := json.Unmarshal(result, &got); err != nil {
		return err
	}
	if got.ExceptionDetails != nil {
		return fmt.Errorf("%s: %s", expression, got.ExceptionDetails.Exception.Description)
	}
	if into == nil || got.Result.Value == nil {
		return nil
	}
	return json.Unmarshal(got.Result.Value, into)
}

// Until waits until an expression is true.
func (p *Page) Until(expression string) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var err error
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); <-tick.C {
		yes := false
		if err = p.eval("Boolean("+expression+")", &yes); err == nil && yes { // while the page changes, there is no answer
			return
		}
	}
	var text string
	_ = p.eval(`document.body.innerText.slice(0, 3000)`, &text) // it only helps to see why
	p.t.Fatalf("the page did not become %s (%v); it says:\n%s\n%q", expression, err, text, p.Complaints())
}

// Text is what an element shows.
func (p *Page) Text(selector string) (text string) {
	p.t.Helper()
	quoted, err := json.Marshal(selector)
	must(p.t, err)
	p.Eval(`document.querySelector(`+string(quoted)+`).innerText`, &text)
	return text
}

// Picture is the window as a PNG file.
func (p *Page) Picture() []byte {
	p.t.Helper()
	var shot struct{ Data string }
	p.Call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	file, err := base64.StdEncoding.DecodeString(shot.Data)
	must(p.t, err)
	return file
}

// Complaints are the errors, warnings and breaches of the content security policy so far.
func (p *Page) Complaints() (all []string) {
	p.mu.Lock()
	all = slices.Clone(p.complaints)
	p.mu.Unlock()
	var inside []string
	_ = p.eval(`window.complaints || []`, &inside) // a page that is gone has none
	return append(all, inside...)
}

// Requests are the addresses that the page has asked for since Requests was called last.
func (p *Page) Requests() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, p.requests = p.requests, nil
	return all
}
