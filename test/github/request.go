package github

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// text reads a string of the body; missing, null and wrong types are "".
func (c *call) text(name string) string {
	v, _ := c.body[name].(string)
	return v
}

// has tells whether the body names the field with something but null.
func (c *call) has(name string) bool { return c.body[name] != nil }

func (c *call) flag(name string, otherwise bool) bool {
	if v, ok := c.body[name].(bool); ok {
		return v
	}
	return otherwise
}

func number(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return i, err == nil
}

// words reads a list of strings.
func words(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := []string{}
	for _, e := range list {
		w, ok := e.(string)
		if !ok {
			return nil, false
		}
		out = append(out, w)
	}
	return out, true
}

// types checks the types of body fields the way GitHub's schema check does:
// "name:string! status:string started_at:time actions:array". An exclamation
// mark means required. nil means all is well.
func (c *call) types(spec string) *answer {
	for _, field := range strings.Fields(spec) {
		name, kind, _ := strings.Cut(field, ":")
		kind, required := strings.CutSuffix(kind, "!")
		v, given := c.body[name]
		if !given || (v == nil && !required) {
			if required {
				a := badRequest("%q wasn't supplied.", name)
				return &a
			}
			continue
		}
		good := false
		switch kind {
		case "string":
			_, good = v.(string)
		case "bool":
			_, good = v.(bool)
		case "int":
			_, good = number(v)
		case "array":
			_, good = v.([]any)
		case "object":
			_, good = v.(map[string]any)
		case "time":
			if w, isText := v.(string); isText {
				_, err := time.Parse(time.RFC3339, w)
				good = err == nil
			}
		case "any":
			good = true
		}
		if !good {
			a := badRequest("For 'properties/%s', %s is not %s.", name, string(encode(v)), article(kind))
			return &a
		}
	}
	return nil
}

func article(kind string) string {
	switch kind {
	case "bool":
		return "a boolean"
	case "int":
		return "an integer"
	case "array", "object":
		return "an " + kind
	case "time":
		return "a valid date-time"
	}
	return "a " + kind
}

// moment reads a time of the body.
func (c *call) moment(name string) time.Time {
	t, _ := time.Parse(time.RFC3339, c.text(name))
	return t.UTC()
}

// page cuts a list to the page asked for and sets the Link header. Pages
// beyond the end are empty, as on GitHub.
// https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api
func page[T any](c *call, items []T) []T {
	size := atoi(c.query.Get("per_page"), 30)
	if size < 1 {
		size = 30
	}
	size = min(size, 100)
	at := max(atoi(c.query.Get("page"), 1), 1)
	last := max((len(items)+size-1)/size, 1)
	var links []string
	link := func(rel string, n int) {
		q := c.r.URL.Query()
		q.Set("page", strconv.Itoa(n))
		links = append(links, fmt.Sprintf("<%s?%s>; rel=%q", c.address(), q.Encode(), rel))
	}
	if at > 1 {
		link("prev", min(at-1, last))
	}
	if at < last {
		link("next", at+1)
		link("last", last)
	}
	if at > 1 {
		link("first", 1)
	}
	if len(links) > 0 {
		c.header.Set("Link", strings.Join(links, ", "))
	}
	from := min((at-1)*size, len(items))
	return items[from:min(from+size, len(items))]
}

// address is where the call went, in the words of the caller: credentials are
// sent on only to the host they were for.
func (c *call) address() string {
	path := c.r.URL.EscapedPath()
	if strings.HasPrefix(c.r.Host, "api.") {
		return "http://" + c.r.Host + strings.TrimPrefix(path, "/api/v3")
	}
	return c.s.base + path
}

// list renders one page of items; never null, always an array.
func list[T any](c *call, items []T, render func(T) obj) []any {
	out := []any{}
	for _, item := range page(c, items) {
		out = append(out, render(item))
	}
	return out
}

func atoi(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return otherwise
}

// newestFirst turns a list around without touching the original.
func newestFirst[T any](items []T) []T {
	out := make([]T, len(items))
	for i, v := range items {
		out[len(items)-1-i] = v
	}
	return out
}

// api is an address below the REST root; html one below the web root.
func (s *Server) api(format string, args ...any) string {
	return s.base + "/api/v3" + fmt.Sprintf(format, args...)
}

func (s *Server) html(format string, args ...any) string {
	return s.base + fmt.Sprintf(format, args...)
}

func escapeRef(ref string) string {
	return strings.ReplaceAll(url.PathEscape(ref), "%2F", "/")
}

func orNull(v string) any {
	if v == "" {
		return nil
	}
	return v
}

// bearer takes the credential out of Authorization: `Bearer x`, `token x`, or
// the password of Basic.
func bearer(r *http.Request) string {
	header := r.Header.Get("Authorization")
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	scheme, value, _ := strings.Cut(header, " ")
	switch strings.ToLower(scheme) {
	case "bearer", "token":
		return strings.TrimSpace(value)
	}
	return header
}
