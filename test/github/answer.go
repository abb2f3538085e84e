package github

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

type obj = map[string]any

// answer is what a REST call comes to.
type answer struct {
	status int
	body   any // nil means no body
	header http.Header
	raw    []byte // instead of body, for media types that are not JSON
}

func ok(body any) answer      { return answer{status: http.StatusOK, body: body} }
func created(body any) answer { return answer{status: http.StatusCreated, body: body} }
func noContent() answer       { return answer{status: http.StatusNoContent} }

// fail is an error in GitHub's form.
// https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api
func fail(status int, format string, args ...any) answer {
	return answer{status: status, body: obj{
		"message":           fmt.Sprintf(format, args...),
		"documentation_url": "https://docs.github.com/rest",
		"status":            fmt.Sprint(status),
	}}
}

func notFound() answer { return fail(http.StatusNotFound, "Not Found") }

// fieldError is one entry of `errors` in a 422.
type fieldError struct{ resource, field, code, message string }

// invalid is the 422 of the models: missing, missing_field, invalid,
// already_exists, unprocessable or custom.
func invalid(errs ...fieldError) answer {
	list := []any{}
	for _, e := range errs {
		o := obj{"resource": e.resource, "code": e.code}
		if e.field != "" {
			o["field"] = e.field
		}
		if e.message != "" {
			o["message"] = e.message
		}
		list = append(list, o)
	}
	a := fail(http.StatusUnprocessableEntity, "Validation Failed")
	a.body.(obj)["errors"] = list
	return a
}

// badRequest is the 422 of the API's own schema check, which reads otherwise
// than that of the models.
func badRequest(format string, args ...any) answer {
	return fail(http.StatusUnprocessableEntity, "Invalid request.\n\n%s", fmt.Sprintf(format, args...))
}

func (a answer) with(key, value string) answer {
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set(key, value)
	return a
}

// encode writes JSON as GitHub does: no HTML escapes, no line end.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("github: a body that is not JSON: " + err.Error())
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// write sends the answer. ETags cover the credential too, as GitHub's do: one
// learned with an old token is worthless with a new one.
func (a answer) write(w http.ResponseWriter, r *http.Request) (status int) {
	h := w.Header()
	for k, v := range a.header {
		h[k] = v
	}
	body := a.raw
	if a.body != nil {
		body = encode(a.body)
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	status = a.status
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	if read && status == http.StatusOK {
		sum := sha256.Sum256(append([]byte(r.Header.Get("Authorization")+"\n"+r.Header.Get("Accept")+"\n"), body...))
		etag := `"` + hex.EncodeToString(sum[:]) + `"`
		h.Set("ETag", `W/`+etag)
		h.Set("Cache-Control", "private, max-age=60, s-maxage=60")
		h.Set("Vary", "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding, Accept, X-Requested-With")
		for _, have := range strings.Split(r.Header.Get("If-None-Match"), ",") {
			if strings.TrimPrefix(strings.TrimSpace(have), "W/") == etag {
				h.Del("Content-Type")
				w.WriteHeader(http.StatusNotModified)
				return http.StatusNotModified
			}
		}
	}
	if status != http.StatusNoContent {
		h.Set("Content-Length", fmt.Sprint(len(body)))
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
	return status
}
