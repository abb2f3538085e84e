package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

//go:embed assets pages
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"utc": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
}).ParseFS(files, "pages/*.html"))

// asset is a file whose name holds its hash, so that browsers may keep it for ever.
type asset struct {
	kind string
	data []byte
}

// assetNames are the hashed names, for the pages.
type assetNames struct{ Style, Script string }

func loadAssets() map[string]asset {
	loaded := map[string]asset{}
	for name, kind := range map[string]string{"style.css": "text/css; charset=utf-8", "run.js": "text/javascript; charset=utf-8"} {
		data, err := fs.ReadFile(files, "assets/"+name)
		if err != nil {
			panic(err) // it is part of the binary
		}
		sum := sha256.Sum256(data)
		ext := path.Ext(name)
		loaded[strings.TrimSuffix(name, ext)+"-"+hex.EncodeToString(sum[:6])+ext] = asset{kind: kind, data: data}
	}
	return loaded
}

func (p *Pages) names() (n assetNames) {
	for name := range p.assets {
		if strings.HasSuffix(name, ".css") {
			n.Style = "/assets/" + name
		} else {
			n.Script = "/assets/" + name
		}
	}
	return n
}

func (p *Pages) asset(c *gin.Context) {
	a, ok := p.assets[c.Param("name")]
	if !ok {
		p.notFound(c)
		return
	}
	c.Header("Cache-Control", "public, max-age=31536000, immutable")
	c.Data(http.StatusOK, a.kind, a.data)
}
