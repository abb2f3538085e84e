package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/conveyor-ci/conveyor/test/github"
)

// measureCheck asks how long people look at a push without any sign of a run: from the moment when GitHub begins to
// deliver the push until the first check run is there. By hand the same takes one fetch of the commit and one request.
func measureCheck(ctx context.Context, s *session) (_ []row, err error) {
	h, err := build(s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.open(ctx); err != nil {
		return nil, err
	}
	hand, err := h.hand(ctx)
	if err != nil {
		return nil, err
	}
	var sha string
	var ours, byHand []float64
	n := 0
	visible := func(ctx context.Context) error {
		n++
		h.github.HoldHooks(h.app.Slug)
		if sha, err = h.push("main", plan(1), strconv.Itoa(n)); err != nil {
			return err
		}
		began := time.Now()
		h.github.ReleaseHooks(h.app.Slug, false)
		if err := h.wait(ctx, "the first check run", func(v *github.View) bool {
			_, ok := v.CheckRun(slug, sha, check)
			return ok
		}); err != nil {
			return err
		}
		ours = append(ours, milliseconds(time.Since(began)))
		if _, err := h.concluded(ctx, sha); err != nil {
			return err
		}
		return h.rest(ctx, time.Minute)
	}
	same := func(ctx context.Context) error {
		began := time.Now()
		if err := hand.show(ctx, sha); err != nil {
			return fmt.Errorf("by hand: %w", err)
		}
		byHand = append(byHand, milliseconds(time.Since(began)))
		return nil
	}
	// The first push also makes the mirror and fetches the tokens, which happens once and once an hour.
	if err := errors.Join(visible(ctx), same(ctx)); err != nil {
		return nil, err
	}
	ours, byHand = nil, nil
	if err := s.play(ctx, 50*time.Second, pick(s, max(25, s.rounds), 5), visible, same); err != nil {
		return nil, err
	}
	return []row{
		lower("push to first check run, p50", "ms", median(ours), 50, "the aim of 50 ms").aim(1),
		lower("push to first check run, p50", "ms", median(ours), median(byHand), "git fetch and one POST by hand"),
	}, nil
}

// byHand is what someone would do who writes the least: fetch the commit, tell GitHub.
type byHand struct {
	h             *house
	mirror, token string
}

func (h *house) hand(ctx context.Context) (*byHand, error) {
	b := &byHand{h: h, mirror: filepath.Join(h.dir, "by-hand.git")}
	if out, err := exec.CommandContext(ctx, "git", "init", "--quiet", "--bare", b.mirror).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("git init: %w: %s", err, out)
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(h.app.PEM))
	if err != nil {
		return nil, err
	}
	now := time.Now().Add(-time.Minute)
	signed, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": strconv.FormatInt(h.app.ID, 10), "iat": now.Unix(), "exp": now.Add(9 * time.Minute).Unix(),
	}).SignedString(key)
	if err != nil {
		return nil, err
	}
	b.token = signed
	var made struct {
		Token string `json:"token"`
	}
	if err := b.post(ctx, fmt.Sprintf("app/installations/%d/access_tokens", h.installation.ID), map[string]any{}, &made); err != nil {
		return nil, fmt.Errorf("ask for a token: %w", err)
	}
	b.token = made.Token
	return b, nil
}

// show fetches the commit and makes a check run.
func (b *byHand) show(ctx context.Context, sha string) error {
	cmd := exec.CommandContext(ctx, "git", "--git-dir", b.mirror, "fetch", "--quiet", "--no-tags", "--depth=1", b.h.repo.CloneURL, sha)
	header := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("x-access-token:"+b.token))
	cmd.Env = append(os.Environ(), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.extraHeader", "GIT_CONFIG_VALUE_0="+header)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git fetch: %w: %s", err, out)
	}
	return b.post(ctx, "repos/"+slug+"/check-runs", map[string]any{"name": "by hand", "head_sha": sha, "status": "in_progress"}, nil)
}

func (b *byHand) post(ctx context.Context, path string, body, into any) (err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.h.github.APIURL()+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusCreated {
		return errors.Join(err, fmt.Errorf("%s: %s %s", path, res.Status, answer))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}
