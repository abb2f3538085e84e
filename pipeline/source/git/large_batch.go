package git

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// batchSize is how many files are asked for at once, as git-lfs itself does.
const batchSize = 100

const largeType = "application/vnd.git-lfs+json"

// asked and answered are the batch API's two messages, as far as they are used.
// https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
type asked struct {
	Operation string      `json:"operation"`
	Transfers []string    `json:"transfers"`
	Objects   []askedFile `json:"objects"`
	Hash      string      `json:"hash_algo"`
}

type askedFile struct {
	OID  string `json:"oid"`
	Size int64  `json:"size"`
}

type answered struct {
	Transfer string `json:"transfer"`
	Objects  []struct {
		askedFile
		Actions struct {
			Download *struct {
				Href   string            `json:"href"`
				Header map[string]string `json:"header"`
			} `json:"download"`
		} `json:"actions"`
		Error *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	} `json:"objects"`
}

// downloadLarge asks the repository's own host where the files are, and fetches them. A repository cannot name another
// server: .lfsconfig is not read. The caller holds the gate.
func (s *Source) downloadLarge(ctx context.Context, r *repository, repo pipeline.Repo, missing map[string]int64, token source.Token) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.opts.Timeout, fmt.Errorf("the server took longer than %s", s.opts.Timeout))
	defer cancel()
	address, _, err := s.address(repo)
	if err != nil {
		return err
	}
	secret := ""
	if token != nil {
		if secret, err = token(ctx); err != nil {
			return fmt.Errorf("source: ask for a token to fetch files in Git LFS of %s: %w", repo.Slug(), err)
		}
	}
	for oids := range slices.Chunk(slices.Sorted(maps.Keys(missing)), batchSize) {
		if err := s.batch(ctx, r, address, secret, oids, missing); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if errors.Is(err, source.ErrUnusable) {
				return fmt.Errorf("%w (%s)", err, repo.Slug())
			}
			return fmt.Errorf("source: fetch files in Git LFS of %s: %w", repo.Slug(), err)
		}
	}
	return nil
}

func (s *Source) batch(ctx context.Context, r *repository, address, secret string, oids []string, sizes map[string]int64) error {
	ask := asked{Operation: "download", Transfers: []string{"basic"}, Hash: "sha256"}
	for _, oid := range oids {
		ask.Objects = append(ask.Objects, askedFile{oid, sizes[oid]})
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(address, ".git")+".git/info/lfs/objects/batch", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Accept", largeType)
	req.Header.Set("Content-Type", largeType)
	if secret != "" {
		req.SetBasicAuth("x-access-token", secret)
	}
	resp, err := s.web.Do(req)
	if err != nil {
		return errors.New(tame(err.Error(), secret))
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		return refusedLarge("the server was asked where they are, and", resp.StatusCode)
	}
	var answer answered
	if err := json.NewDecoder(io.LimitReader(resp.Body, 4<<20)).Decode(&answer); err != nil {
		return errors.New("the server's answer cannot be read")
	}
	if answer.Transfer != "" && answer.Transfer != "basic" {
		return fmt.Errorf("%w: the server gives files by %q only", source.ErrUnusable, oneLine(answer.Transfer, 40))
	}
	got := map[string]bool{}
	for _, o := range answer.Objects {
		size, wanted := sizes[o.OID]
		switch {
		case !wanted || got[o.OID]:
			continue // nobody asked
		case o.Error != nil && (o.Error.Code == http.StatusNotFound || o.Error.Code == http.StatusGone || o.Error.Code == http.StatusUnprocessableEntity):
			return fmt.Errorf("%w: the server does not have the file %.12s in Git LFS: %s", source.ErrUnusable, o.OID, tame(o.Error.Message, secret))
		case o.Error != nil:
			return fmt.Errorf("the server does not give the file %.12s: %s", o.OID, tame(o.Error.Message, secret))
		case o.Actions.Download == nil:
			return fmt.Errorf("the server does not say where the file %.12s is", o.OID)
		}
		if err := s.oneLarge(ctx, r, address, secret, o.Actions.Download.Href, o.Actions.Download.Header, o.OID, size); err != nil {
			return err
		}
		got[o.OID] = true
	}
	if len(got) < len(oids) {
		return errors.New("the server did not speak of all files that it was asked for")
	}
	return nil
}

// oneLarge fetches one file and keeps it when it is what the pointer says: the hash and the size. Our token goes to our own
// host only; wherever else the file lies, the headers that came with its address have to do.
func (s *Source) oneLarge(ctx context.Context, r *repository, address, secret, href string, header map[string]string, oid string, size int64) (err error) {
	own, err := url.Parse(address)
	if err != nil {
		return err
	}
	to, err := url.Parse(href)
	if err != nil || to.Host == "" || to.User != nil || to.Scheme != "https" && to.Scheme != own.Scheme {
		return fmt.Errorf("%w: the server names an address for %.12s that is never fetched", source.ErrUnusable, oid)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	req.Header.Set("Accept-Encoding", "identity") // what comes is counted
	if secret != "" && req.Header.Get("Authorization") == "" && to.Scheme == own.Scheme && strings.EqualFold(to.Host, own.Host) {
		req.SetBasicAuth("x-access-token", secret)
	}
	resp, err := s.web.Do(req)
	if err != nil {
		return errors.New(tame(strings.ReplaceAll(err.Error(), to.String(), to.Host), secret)) // an address may be signed
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		return refusedLarge(fmt.Sprintf("the file %.12s was asked for, and %s", oid, to.Host), resp.StatusCode)
	}
	at := r.large(oid)
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		return err
	}
	part, err := os.CreateTemp(s.path("home"), "large-") // which is emptied at start
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part.Name())
		}
	}()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(part, sum), io.LimitReader(resp.Body, size+1))
	if err = errors.Join(err, part.Sync(), part.Close()); err != nil {
		return err
	}
	if n != size || hex.EncodeToString(sum.Sum(nil)) != oid {
		return fmt.Errorf("the file %.12s is not what its pointer says; %d bytes of %d came", oid, n, size)
	}
	return os.Rename(part.Name(), at)
}

func refusedLarge(what string, status int) error {
	err := fmt.Errorf("%s answered %d %s", what, status, http.StatusText(status))
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return fmt.Errorf("%w: %w; check that the App may read the repository, and that its files are in Git LFS there", source.ErrUnusable, err)
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return fmt.Errorf("%w: %w; redirects are not followed", source.ErrUnusable, err)
	}
	return err
}

// newWeb is the client for files in Git LFS. Like git here, it follows no redirect.
func newWeb() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
