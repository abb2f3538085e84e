package setup

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/gin-gonic/gin"
)

//go:embed pages
var embedded embed.FS

// files are the templates and the style, whose name holds its hash, so that browsers may keep it for ever.
type files struct {
	pages     *template.Template
	style     []byte
	styleName string
}

func load() files {
	style, err := embedded.ReadFile("pages/setup.css")
	if err != nil {
		panic(err) // it is part of the binary
	}
	sum := sha256.Sum256(style)
	return files{
		style: style, styleName: "setup-" + hex.EncodeToString(sum[:6]) + ".css",
		pages: template.Must(template.New("").Funcs(template.FuncMap{"marked": marked, "state": levelState}).ParseFS(embedded, "pages/*.html")),
	}
}

// tabIcon is the drawing in the browser's tab.
const tabIcon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#0a58a6" stroke-width="2"><rect x="2" y="13" width="20" height="8" rx="4"/><path d="M7 3h9v8H7z"/></svg>`

// page is what all pages have.
type page struct {
	Title string
	Style string
	Again int // seconds until it comes again by itself; 0 is never
}

func (p *Pages) page(title string) page {
	return page{Title: title, Style: "/setup/style/" + p.files.styleName}
}

// wordsView is a page with one thing to say.
type wordsView struct {
	page
	Words string
	Begin bool // there is a way to begin again
}

// say ends a request with a sentence.
func (p *Pages) say(c *gin.Context, code int, title, words string) {
	p.render(c, code, "words", wordsView{page: p.page(title), Words: words})
	c.Abort()
}

// again is say for someone who is inside, and may try once more.
func (p *Pages) again(c *gin.Context, code int, title, words string) {
	p.render(c, code, "words", wordsView{page: p.page(title), Words: words, Begin: true})
	c.Abort()
}

func (p *Pages) render(c *gin.Context, code int, name string, view any) {
	var b bytes.Buffer
	if err := p.files.pages.ExecuteTemplate(&b, name, view); err != nil {
		p.o.Log.Error("a page could not be made", "page", name, "err", err)
		c.String(http.StatusInternalServerError, "The page could not be made. The operator finds the reason in the server's log.\n")
		return
	}
	c.Data(code, "text/html; charset=utf-8", b.Bytes())
}

// marked shows `code` as code; everything is escaped.
func marked(text string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 {
			b.WriteString("<code>" + template.HTMLEscapeString(part) + "</code>")
		} else {
			b.WriteString(template.HTMLEscapeString(part))
		}
	}
	return template.HTML(b.String())
}

// levels are how a finding stands: a class, a word, and a drawing that says the same to those who see no colours.
var levels = map[string]struct {
	Class, Word string
	Icon        template.HTML
}{
	"ok":      {"good", "well", `<circle class="f" cx="8" cy="8" r="7.5"/><path class="s" d="M4.6 8.3l2.4 2.4 4.5-5"/>`},
	"warning": {"busy", "look", `<path class="f" d="M8 .8l7.4 13.4H.6z"/><path class="s" d="M8 5.4v4m0 2.4v.3"/>`},
	"failed":  {"bad", "failed", `<circle class="f" cx="8" cy="8" r="7.5"/><path class="s" d="M5.3 5.3l5.4 5.4m0-5.4l-5.4 5.4"/>`},
	"unknown": {"off", "not known yet", `<circle class="o" cx="8" cy="8" r="6.4" stroke-dasharray="2.2 1.82"/>`},
}

func levelState(level string) any {
	l, ok := levels[level]
	if !ok {
		return levels["unknown"]
	}
	return l
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// slug is a name as it stands in the App's address.
func slug(name string) string {
	return strings.Trim(notSlug.ReplaceAllString(strings.ToLower(name), "-"), "-")
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "GitHub"
	}
	return u.Host
}

// sentence begins and ends words as a sentence does.
func sentence(words string) string {
	words = strings.TrimSpace(words)
	if words != "" && !strings.HasSuffix(words, ".") {
		words += "."
	}
	return words
}
