package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

//go:embed assets pages
var files embed.FS

// assets are the files beside the pages, by names that hold their hash, so that browsers may keep them for ever.
type assets struct {
	pages *template.Template
	files map[string]asset
	names assetNames
}

type asset struct {
	kind string
	data []byte
}

// assetNames are the addresses of the assets, for the pages.
type assetNames struct {
	Style, Times, Run string
	Icons             map[string]string // a state's class → the tab's icon
}

// The scripts are one thing per file, and one file for the browser. They are plain scripts: names of the earlier files
// are known in the later ones.
var (
	styleFiles = []string{"page.css", "run.css", "log.css"}
	timesFiles = []string{"times.js"}
	runFiles   = []string{"times.js", "terminal.js", "lines.js", "morph.js", "run.js"}
)

func loadAssets() assets {
	a := assets{files: map[string]asset{}, names: assetNames{Icons: map[string]string{}}}
	a.names.Style = a.add("style.css", "text/css; charset=utf-8", joined(styleFiles))
	a.names.Times = a.add("times.js", "text/javascript; charset=utf-8", joined(timesFiles))
	a.names.Run = a.add("run.js", "text/javascript; charset=utf-8", joined(runFiles))
	for class, ink := range inks {
		a.names.Icons[class] = a.add("icon-"+class+".svg", "image/svg+xml", tabIcon(class, ink))
	}
	a.pages = template.Must(template.New("").Funcs(template.FuncMap{
		"icon": icon,
		"utc":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"rfc":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"tab":  func(class string) string { return a.names.Icons[class] },
	}).ParseFS(files, "pages/*.html"))
	return a
}

// add takes a file in, and returns its address.
func (a assets) add(name, kind string, data []byte) string {
	sum := sha256.Sum256(data)
	ext := path.Ext(name)
	name = fmt.Sprintf("%s-%s%s", strings.TrimSuffix(name, ext), hex.EncodeToString(sum[:6]), ext)
	a.files[name] = asset{kind: kind, data: data}
	return "/assets/" + name
}

func joined(names []string) (all []byte) {
	for _, name := range names {
		data, err := files.ReadFile("assets/" + name)
		if err != nil {
			panic(err) // it is part of the binary
		}
		all = append(all, data...)
	}
	return all
}

func (p *Pages) asset(c *gin.Context) {
	a, ok := p.assets.files[c.Param("name")]
	if !ok {
		p.notFound(c)
		return
	}
	c.Header("Cache-Control", "public, max-age=31536000, immutable")
	c.Data(http.StatusOK, a.kind, a.data)
}
