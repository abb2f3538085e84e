package github

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
)

// Analysis is what someone has uploaded for code scanning.
type Analysis struct {
	ID       string
	SHA, Ref string
	SARIF    []byte // unpacked
}

var scannedRef = regexp.MustCompile(`^refs/(heads/.+|pull/[0-9]+/(merge|head))$`)

// uploadSARIF takes an analysis, and answers before it is looked at, as GitHub does.
// https://docs.github.com/rest/code-scanning/code-scanning#upload-an-analysis-as-sarif-data
func (c *call) uploadSARIF() answer {
	if a := c.types("commit_sha:string! ref:string! sarif:string! checkout_uri:string started_at:time tool_name:string validate:boolean"); a != nil {
		return *a
	}
	if c.repo.git.commit(c.text("commit_sha")) == nil || len(c.text("commit_sha")) != 40 {
		return notFound()
	}
	if !scannedRef.MatchString(c.text("ref")) {
		return badRequest("ref must be a fully qualified ref, such as refs/heads/main or refs/pull/1/head")
	}
	if len(c.text("sarif")) > 10_000_000*4/3+4 {
		return fail(http.StatusRequestEntityTooLarge, "Payload Too Large")
	}
	sarif, err := unpackSARIF(c.text("sarif"))
	if err != nil {
		return badRequest("%s", err)
	}
	a := &Analysis{ID: fmt.Sprintf("47177e22-5596-11eb-80a1-%012x", c.s.next()), SHA: c.text("commit_sha"), Ref: c.text("ref"), SARIF: sarif}
	c.repo.analyses = append(c.repo.analyses, a)
	return answer{status: http.StatusAccepted, body: obj{"id": a.ID, "url": c.s.api("/repos/%s/code-scanning/sarifs/%s", c.repo.FullName, a.ID)}}
}

// unpackSARIF says what GitHub says of a text that is no compressed SARIF.
func unpackSARIF(text string) ([]byte, error) {
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("sarif is not valid Base64")
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("sarif is not gzip compressed")
	}
	data, err := io.ReadAll(io.LimitReader(z, 100<<20))
	var form struct{ Version string }
	if err != nil || json.Unmarshal(data, &form) != nil || form.Version != "2.1.0" {
		return nil, fmt.Errorf("sarif is not valid SARIF 2.1.0, its version is %s", strconv.Quote(form.Version))
	}
	return data, nil
}

func (c *call) getSARIF() answer {
	for _, a := range c.repo.analyses {
		if a.ID == c.param["sarif_id"] {
			return ok(obj{"processing_status": "complete", "analyses_url": c.s.api("/repos/%s/code-scanning/analyses?sarif_id=%s", c.repo.FullName, a.ID), "errors": nil})
		}
	}
	return notFound()
}

// Analyses are what was uploaded for a commit, oldest first.
func (v *View) Analyses(repo, sha string) []Analysis {
	var out []Analysis
	for _, a := range v.repo(repo).analyses {
		if a.SHA == sha {
			out = append(out, *a)
		}
	}
	return out
}
