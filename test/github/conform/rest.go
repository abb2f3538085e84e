package conform

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

//go:embed testdata/*.gz
var files embed.FS

func unpack(name string) ([]byte, error) {
	f, err := files.Open("testdata/" + name + ".gz")
	if err != nil {
		return nil, fmt.Errorf("conform: %w", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("conform: unpack %s: %w", name, err)
	}
	return io.ReadAll(z)
}

// description is the REST API as GitHub describes it. Reading it takes half a
// second, so it is read once.
var description = sync.OnceValues(func() (*restAPI, error) {
	text, err := unpack("openapi-subset.json")
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("conform: read the description of the REST API: %w", err)
	}
	// GitHub's own examples are wrong in places.
	if err := doc.Validate(context.Background(), openapi3.DisableExamplesValidation()); err != nil {
		return nil, fmt.Errorf("conform: the description of the REST API: %w", err)
	}
	// This one list wants an account to be a user and an enterprise at once,
	// which no answer of GitHub is; the plain schema says either.
	for _, media := range doc.Paths.Value("/app/installations").Get.Responses.Status(http.StatusOK).Value.Content {
		media.Schema.Value.Items = doc.Components.Schemas["installation"]
	}
	// The repository of a pull request's head is null once the fork is gone.
	for _, name := range []string{"pull-request", "pull-request-simple"} {
		head := doc.Components.Schemas[name].Value.Properties["head"].Value
		if repo := head.Properties["repo"]; repo != nil {
			nullable := *repo.Value
			nullable.Nullable = true
			head.Properties["repo"] = &openapi3.SchemaRef{Value: &nullable}
		}
	}
	api := &restAPI{doc: doc}
	for _, path := range doc.Paths.InMatchingOrder() {
		api.strict = append(api.strict, newPattern(path, doc.Paths.Value(path), false))
		api.loose = append(api.loose, newPattern(path, doc.Paths.Value(path), true))
	}
	return api, nil
})

type restAPI struct {
	doc           *openapi3.T
	strict, loose []pattern
}

type pattern struct {
	path  string
	item  *openapi3.PathItem
	match *regexp.Regexp
	names []string
}

// slashed are the parameters that may hold slashes.
var slashed = strings.Fields("ref branch basehead path sha tree_sha commit_sha environment_name tag")

var number = regexp.MustCompile(`^/repositories/[0-9]+`)

var bareRoot = regexp.MustCompile(`^/repos/[^/]+/[^/]+/contents$`)

var placeholder = regexp.MustCompile(`\\\{([a-z_]+)\\\}`)

func newPattern(path string, item *openapi3.PathItem, loose bool) pattern {
	p := pattern{path: path, item: item}
	expression := placeholder.ReplaceAllStringFunc(regexp.QuoteMeta(path), func(m string) string {
		name := placeholder.FindStringSubmatch(m)[1]
		p.names = append(p.names, name)
		for _, s := range slashed {
			if loose && s == name {
				return "(.*)"
			}
		}
		return "([^/]+)"
	})
	p.match = regexp.MustCompile("^" + expression + "$")
	return p
}

// find looks for the operation: with one segment for each parameter first,
// because /commits/{sha}/pulls would be eaten by /commits/{ref} otherwise.
func (api *restAPI) find(r *http.Request) (*routers.Route, map[string]string) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/api/v3")
	if path == "" {
		path = "/"
	}
	// A renamed repository is spoken of by its number, which the description
	// does not mention.
	if number.MatchString(path) {
		path = number.ReplaceAllString(path, "/repos/by/number")
	}
	// The root of the contents may be asked for without a slash, as octokit does.
	if bareRoot.MatchString(path) {
		path += "/"
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, list := range [][]pattern{api.strict, api.loose} {
		for _, p := range list {
			m := p.match.FindStringSubmatch(path)
			if m == nil || p.item.GetOperation(method) == nil {
				continue
			}
			params := map[string]string{}
			for i, name := range p.names {
				v, err := url.PathUnescape(m[i+1])
				if err != nil {
					v = m[i+1]
				}
				if v == "" {
					v = "." // contents/ is the root, and allowed
				}
				params[name] = v
			}
			return &routers.Route{Spec: api.doc, Path: p.path, PathItem: p.item, Method: method, Operation: p.item.GetOperation(method)}, params
		}
	}
	return nil, nil
}

// exchange checks one call.
func (k *Checker) exchange(r *http.Request, sent []byte, status int, header http.Header, got []byte) {
	api, err := description()
	if err != nil {
		k.looked(err.Error())
		return
	}
	name := fmt.Sprintf("%s %s (%d)", r.Method, r.URL.Path, status)
	// A proxy's page, a redirect and a 304 are not in the description.
	if status >= 500 || (status >= 300 && status < 400) {
		k.looked()
		return
	}
	route, params := api.find(r)
	if route == nil {
		if status == http.StatusNotFound {
			k.looked()
			return
		}
		k.looked(name + ": GitHub's description has no such operation")
		return
	}
	if string(bytes.TrimSpace(sent)) == "null" {
		sent = nil // go-github's way to send no options; GitHub takes it
	}
	in := r.Clone(context.Background())
	in.Body = io.NopCloser(bytes.NewReader(sent))
	if len(sent) > 0 && in.Header.Get("Content-Type") == "" {
		in.Header.Set("Content-Type", "application/json")
	}
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, MultiError: true, SkipSettingDefaults: true}
	request := &openapi3filter.RequestValidationInput{Request: in, PathParams: params, Route: route, Options: options}
	var problems []string
	// Its prose allows labels as a bare list, its schema does not.
	bare := route.Operation.OperationID == "issues/add-labels" && bytes.HasPrefix(sent, []byte("["))
	if (status < 400 || k.EveryRequest) && !bare {
		if err := openapi3filter.ValidateRequest(context.Background(), request); err != nil {
			problems = append(problems, name+": request: "+brief(err))
		}
	}
	if p := checkAnswer(request, status, header, got); p != "" {
		problems = append(problems, name+": answer: "+p)
	}
	k.looked(problems...)
}

func checkAnswer(request *openapi3filter.RequestValidationInput, status int, header http.Header, got []byte) string {
	declared := request.Route.Operation.Responses.Status(status)
	if declared == nil {
		if status < 400 {
			return "the description has no such status"
		}
		var e struct {
			Message string `json:"message"`
		}
		if json.Unmarshal(got, &e) != nil || e.Message == "" {
			return "an error has a message"
		}
		return ""
	}
	// Media types other than JSON are asked for, not described.
	if !strings.HasPrefix(header.Get("Content-Type"), "application/json") {
		return ""
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: request, Status: status, Header: header, Options: request.Options}
	out.SetBodyBytes(got)
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		return brief(err)
	}
	return ""
}

// brief leaves out the schema and the value that kin-openapi prints with
// every mistake.
func brief(err error) string {
	var lines []string
	for _, line := range strings.Split(err.Error(), "\n") {
		if strings.HasPrefix(line, "Schema:") || strings.HasPrefix(line, "Value:") {
			continue
		}
		if line = strings.TrimSpace(line); len(line) > 20 && strings.ContainsAny(line, " ") && !strings.HasPrefix(line, `"`) {
			lines = append(lines, line)
		}
	}
	text := strings.Join(lines, "; ")
	return text[:min(len(text), 1500)]
}
