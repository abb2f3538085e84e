package github

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// ErrTooLarge says that GitHub takes no analysis of this size.
var ErrTooLarge = errors.New("github: the analysis is larger than GitHub takes, 10 MB when compressed")

const maxSARIF = 10_000_000 // bytes, compressed

// UploadSARIF gives GitHub what an analysis has found at a commit, for code scanning. ref is where the commit was looked at.
// It needs the permission security_events: write. It may be repeated: the newest of a commit, tool and category counts.
//
// https://docs.github.com/rest/code-scanning/code-scanning#upload-an-analysis-as-sarif-data
func (in *Installation) UploadSARIF(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit, ref string, sarif []byte) error {
	if err := errors.Join(checkRepo(repo), checkCommit(commit)); err != nil {
		return err
	}
	if !strings.HasPrefix(ref, "refs/heads/") && !strings.HasPrefix(ref, "refs/pull/") {
		return &Refused{Status: http.StatusUnprocessableEntity, Message: "code scanning takes branches and pull requests only"}
	}
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, err := zip.Write(sarif)
	if err := errors.Join(err, zip.Close()); err != nil {
		return fmt.Errorf("github: compress an analysis: %w", err)
	}
	if zipped.Len() > maxSARIF {
		return ErrTooLarge
	}
	ctx = withRoute(ctx, "sarifs")
	req, err := in.client.NewRequest(http.MethodPost, fmt.Sprintf("repos/%s/%s/code-scanning/sarifs", repo.Owner, repo.Name), struct {
		Commit pipeline.Commit `json:"commit_sha"`
		Ref    string          `json:"ref"`
		SARIF  string          `json:"sarif"`
	}{commit, ref, base64.StdEncoding.EncodeToString(zipped.Bytes())})
	if err != nil {
		return err
	}
	_, err = in.client.Do(ctx, req, nil)
	var taken *gh.AcceptedError
	if errors.As(err, &taken) {
		err = nil // it is looked at later
	}
	return said(ctx, err, true, "upload an analysis of", repo.Slug()+"@"+commit.Short())
}
