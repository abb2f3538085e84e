package github

import (
	"html/template"
	"net/url"
)

// The pages. Addresses that Apps gave are shown as links only when they are
// http or https; html/template sees to that.
var (
	repoPage    = parsePage(`{{template "head" .}}{{template "branches" .}}{{template "pulls" .}}{{template "deployments" .}}`)
	pullPage    = parsePage(`{{template "head" .}}<p><span class="{{.State}}">{{.State}}</span> at <a href="{{.Base}}/commit/{{.SHA}}"><code>{{short .SHA}}</code></a></p><pre>{{.Body}}</pre>{{template "runs" .}}{{template "deployments" .}}{{template "comments" .}}`)
	commitPage  = parsePage(`{{template "head" .}}{{template "runs" .}}{{template "deployments" .}}`)
	installPage = parsePage(`<!doctype html><title>{{.App.Name}}</title><h1>Install {{.App.Name}}</h1><form method="post" action="/apps/{{.App.Slug}}/installations/new">
<label>Account <select name="account">{{range .Accounts}}<option>{{.}}</option>{{end}}</select></label> <button>Install</button></form>
<h2>Permissions</h2><ul>{{range $name, $level := .App.Permissions}}<li>{{$name}}: {{$level}}</li>{{end}}</ul>`)
)

func parsePage(text string) *template.Template {
	t := template.New("page").Funcs(template.FuncMap{"short": short, "web": web})
	return template.Must(template.Must(t.Parse(parts)).Parse(text))
}

func short(sha string) string { return sha[:min(len(sha), 7)] }

// web keeps an address only when a browser may follow it.
func web(address string) string {
	if u, err := url.Parse(address); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		return address
	}
	return ""
}

const parts = `
{{define "head"}}<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}} · {{.Repo}}</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2328}table{border-collapse:collapse;width:100%}
td{border-top:1px solid #d1d9e0;padding:.4rem .6rem .4rem 0;vertical-align:top}pre{white-space:pre-wrap;margin:.3rem 0}form{display:inline}
.success,.open{color:#1a7f37}.failure,.error,.timed_out,.closed{color:#cf222e}.merged{color:#8250df}.comment{border:1px solid #d1d9e0;border-radius:6px;padding:.6rem 1rem;margin:.8rem 0}
textarea{width:100%;box-sizing:border-box}small{color:#59636e}</style>
<p><a href="{{.Base}}">{{.Repo}}</a></p><h1>{{.Title}}</h1><p><small>{{.Sub}}</small></p>{{end}}

{{define "branches"}}<h2>Branches</h2><table>{{$base := .Base}}{{range .Branches}}<tr><td>{{.Name}}<td><a href="{{$base}}/commit/{{.SHA}}"><code>{{short .SHA}}</code></a>{{else}}<tr><td>none yet{{end}}</table>{{end}}

{{define "pulls"}}<h2>Pull requests</h2><table>{{$base := .Base}}{{range .Pulls}}<tr><td><a href="{{$base}}/pull/{{.Number}}">{{.Title}} #{{.Number}}</a><td>{{if .Merged}}<span class="merged">merged</span>{{else}}<span class="{{.State}}">{{.State}}</span>{{end}}<td>{{.Author}}{{else}}<tr><td>none yet{{end}}</table>{{end}}

{{define "runs"}}<h2>Checks</h2><table>{{$v := .}}{{range .Runs}}<tr><td>{{with web .DetailsURL}}<a href="{{.}}">details</a> {{end}}{{.Name}}<td class="{{.Conclusion}}">{{or .Conclusion .Status}}<td>{{.Title}}<details><summary>output</summary><pre>{{.Summary}}</pre><pre>{{.Text}}</pre>{{range .Annotations}}<p><code>{{.Path}}:{{.StartLine}}</code> {{.Level}}: {{.Message}}</p>{{end}}</details><td>
{{if $v.Number}}{{$run := .ID}}<form method="post" action="{{$v.Base}}/pull/{{$v.Number}}/rerun"><button name="run" value="{{$run}}">Re-run</button></form>
{{range .Actions}}<form method="post" action="{{$v.Base}}/pull/{{$v.Number}}/action"><input type="hidden" name="run" value="{{$run}}"><button name="identifier" value="{{.Identifier}}" title="{{.Description}}">{{.Label}}</button></form>{{end}}{{end}}{{else}}<tr><td>none yet{{end}}</table>{{end}}

{{define "deployments"}}<h2>Deployments</h2><table>{{$base := .Base}}{{range .Deployments}}<tr><td>{{.Environment}}<td><a href="{{$base}}/commit/{{.SHA}}"><code>{{short .SHA}}</code></a><td class="{{.State}}">{{or .State "pending"}}<td>{{range .Statuses}}{{with web .EnvironmentURL}}<a href="{{.}}">view</a> {{end}}{{end}}<td><small>{{.Digest}}</small>{{else}}<tr><td>none yet{{end}}</table>{{end}}

{{define "comments"}}<h2>Conversation</h2>{{range .Comments}}<div class="comment" id="issuecomment-{{.ID}}"><b>{{.Author}}</b> <small>{{.CreatedAt.Format "2006-01-02 15:04:05"}}{{range .Reactions}} · {{.Content}} {{.Author}}{{end}}</small><pre>{{.Body}}</pre></div>{{end}}
{{if eq .State "open" "merged"}}<form method="post" action="{{.Base}}/pull/{{.Number}}/comment"><textarea name="body" rows="4" required></textarea><br><label>as <input name="as" value="{{.Me}}"></label> <button>Comment</button></form>{{end}}
{{if eq .State "open"}} <form method="post" action="{{.Base}}/pull/{{.Number}}/merge"><button>Merge</button></form> <form method="post" action="{{.Base}}/pull/{{.Number}}/close"><button>Close</button></form>{{end}}{{end}}
`
