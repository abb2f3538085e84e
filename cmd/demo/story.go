package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/test/github"
)

// patience is how long one step of the story may take.
const patience = 3 * time.Minute

const discountTest = `
func TestEveryThirdTeaIsFree(t *testing.T) {
	items := []Item{{"tea", 450, 3}, {"cup", 1200, 1}}
	if got := Total(items); got != 2100 {
		t.Errorf("Total(%v) = %d, want 2100", items, got)
	}
}
`

// play tells the story. It stops at the first step that does not come true.
func (c *company) play(ctx context.Context) error {
	files, err := c.shopFiles()
	if err != nil {
		return err
	}
	var first, broken, fixed, merged string
	var pull github.Pull
	var firstDigest, secondDigest string

	steps := []struct {
		what, wait string
		do         func(context.Context) (detail, link string, err error)
	}{
		{"The first version is pushed: tested, built, and on staging", "staging", func(ctx context.Context) (string, string, error) {
			if first, err = c.github.Commit(repoName, "main", "author", "The shop opens", files); err != nil {
				return "", "", err
			}
			if err := c.check(ctx, first, "conveyor / build", "success"); err != nil {
				return "", "", err
			}
			if firstDigest, err = c.deployed(ctx, "staging", first); err != nil {
				return "", "", err
			}
			return "staging runs " + short(firstDigest), c.sites.url + "/staging/", c.shows("staging", firstDigest, "€25.50")
		}},
		{"A pull request with a failing test gets a red check, marked at the failing line", "the tests", func(ctx context.Context) (string, string, error) {
			files["cart/cart_test.go"] += discountTest
			files["cart/cart.go"] = strings.Replace(files["cart/cart.go"], "item.Price * item.Count", "item.Price * (item.Count - item.Count/2)", 1)
			if broken, err = c.github.Commit(repoName, "third-tea-free", "author", "Every third tea is free", files); err != nil {
				return "", "", err
			}
			if pull, err = c.github.OpenPull(repoName, "author", "Every third tea is free", "third-tea-free", "main"); err != nil {
				return "", "", err
			}
			if err := c.check(ctx, broken, "conveyor / test", "failure"); err != nil {
				return "", "", err
			}
			where, err := c.annotation(broken, "conveyor / test", "cart/cart_test.go")
			return where, c.details(broken, "conveyor / test"), err
		}},
		{"A fix is pushed: green, built, and on a preview of its own", "the tests, the build and the preview", func(ctx context.Context) (string, string, error) {
			files["cart/cart.go"] = strings.Replace(files["cart/cart.go"], "item.Count/2", "item.Count/3", 1)
			killed := make(chan error, 1)
			if c.o.kill {
				go func() { killed <- c.server.killInBuild(ctx) }()
			} else {
				killed <- nil
			}
			if fixed, err = c.github.Commit(repoName, "third-tea-free", "author", "Count the thirds, not the halves", files); err != nil {
				return "", "", err
			}
			if err := errors.Join(c.check(ctx, fixed, "conveyor / test", "success"), <-killed, c.check(ctx, fixed, "conveyor / build", "success")); err != nil {
				return "", "", err
			}
			env := fmt.Sprintf("preview/pr-%d", pull.Number)
			if secondDigest, err = c.deployed(ctx, env, fixed); err != nil {
				return "", "", err
			}
			return env + " runs " + short(secondDigest), c.sites.url + "/" + env + "/", c.shows(env, secondDigest, "€21.00")
		}},
		{"A maintainer approves the first version by its commit, and it goes to production", "production", func(ctx context.Context) (string, string, error) {
			digest, err := c.command(ctx, pull, "maintainer", "/approve production@"+first[:12], "production", first)
			if err == nil && digest != firstDigest {
				err = fmt.Errorf("production got %s, staging ran %s", digest, firstDigest)
			}
			return "production runs " + short(digest), c.sites.url + "/production/", errors.Join(err, c.shows("production", firstDigest, "€25.50"))
		}},
		{"The pull request is merged: built again, and on staging; its preview is taken down", "the merge's build and staging", func(ctx context.Context) (string, string, error) {
			if merged, err = c.github.Merge(repoName, pull.Number, "maintainer"); err != nil {
				return "", "", err
			}
			if secondDigest, err = c.deployed(ctx, "staging", merged); err != nil {
				return "", "", err
			}
			env := fmt.Sprintf("preview/pr-%d", pull.Number)
			if err := c.wait(ctx, func(v *github.View) bool {
				d := v.Deployments(repoName, env)
				return len(d) > 0 && d[len(d)-1].State() == "inactive"
			}); err != nil {
				return "", "", fmt.Errorf("the preview was not taken down: %w", err)
			}
			return "staging runs " + short(secondDigest), c.sites.url + "/staging/", c.shows("staging", secondDigest, "€21.00")
		}},
		{"/approve production by someone without the right is refused, with the reason", "the answer", func(ctx context.Context) (string, string, error) {
			said, err := c.refusal(ctx, pull, "reader", "/approve production")
			return said, pull.HTMLURL, errors.Join(err, c.shows("production", firstDigest, "€25.50"))
		}},
		{"/approve production by a maintainer: the very same digest goes to production", "production", func(ctx context.Context) (string, string, error) {
			digest, err := c.command(ctx, pull, "maintainer", "/approve production", "production", merged)
			if err == nil && digest != secondDigest {
				err = fmt.Errorf("production got %s, staging runs %s", digest, secondDigest)
			}
			return "production runs " + short(digest) + ", as staging does", c.sites.url + "/production/", errors.Join(err, c.shows("production", secondDigest, "€21.00"))
		}},
		{"/rollback production: back to the release before", "production", func(ctx context.Context) (string, string, error) {
			digest, err := c.command(ctx, pull, "maintainer", "/rollback production", "production", first)
			return "production runs " + short(digest), c.sites.url + "/production/", errors.Join(err, c.shows("production", firstDigest, "€25.50"))
		}},
	}
	for _, s := range steps {
		begun := time.Now()
		done := c.line.wait("waiting for " + s.wait)
		stepCtx, cancel := context.WithTimeout(ctx, patience)
		detail, link, err := s.do(stepCtx)
		cancel()
		done()
		c.story = append(c.story, chapter{Step: s.what, OK: err == nil, Seconds: time.Since(begun).Round(time.Millisecond).Seconds()})
		if err != nil {
			c.line.told(false, time.Since(begun), s.what, err.Error(), link)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("the story ended early; the server's last words:\n%s", c.server.last.String())
		}
		c.line.told(true, time.Since(begun), s.what, detail, link)
	}
	return c.rest(ctx)
}

// rest waits until every webhook is delivered and nothing is owed any more, so that the ledger tells the end.
func (c *company) rest(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for calm := 0; calm < 3; calm++ {
		if err := c.github.Quiet(ctx); err != nil {
			return fmt.Errorf("webhooks are still on their way: %w", err)
		}
		page, err := fetch(c.server.url + "/metrics")
		if err != nil || !strings.Contains(string(page), "\nconveyor_streams_waiting 0\n") {
			calm = -1
		}
		select {
		case <-ctx.Done():
			return errors.New("the server did not come to rest")
		case <-look.C:
		}
	}
	return nil
}

// wait waits for a condition of the local GitHub, or for the end of the server.
func (c *company) wait(ctx context.Context, condition func(*github.View) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-c.server.gone:
			cancel(err)
		case <-ctx.Done():
		}
	}()
	if err := c.github.Wait(ctx, condition); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}

// check waits until a check run of a commit is concluded, and wants one conclusion.
func (c *company) check(ctx context.Context, sha, name, conclusion string) error {
	var got github.CheckRun
	err := c.wait(ctx, func(v *github.View) bool {
		run, ok := v.CheckRun(repoName, sha, name)
		got = run
		return ok && run.Status == "completed"
	})
	if err != nil {
		return fmt.Errorf("the check %q of %s was not concluded: %w", name, sha[:7], err)
	}
	if got.Conclusion != conclusion {
		return fmt.Errorf("the check %q of %s is %s, not %s: %s\n%s", name, sha[:7], got.Conclusion, conclusion, got.Title, got.Summary)
	}
	return nil
}

// annotation finds where a check marks a file.
func (c *company) annotation(sha, name, path string) (where string, err error) {
	err = fmt.Errorf("the check marks no line of %s", path)
	c.github.Look(func(v *github.View) {
		run, _ := v.CheckRun(repoName, sha, name)
		for _, a := range run.Annotations {
			if a.Path == path && a.StartLine > 0 {
				where, err = fmt.Sprintf("%s:%d: %s", a.Path, a.StartLine, strings.SplitN(a.Message, "\n", 2)[0]), nil
			}
		}
	})
	return where, err
}

func (c *company) details(sha, name string) (url string) {
	c.github.Look(func(v *github.View) {
		run, _ := v.CheckRun(repoName, sha, name)
		url = run.DetailsURL
	})
	return url
}

// deployed waits for the newest deployment of a commit in an environment to succeed, and returns its digest.
func (c *company) deployed(ctx context.Context, env, sha string) (string, error) {
	var last github.Deployment
	err := c.wait(ctx, func(v *github.View) bool {
		all := v.Deployments(repoName, env)
		if len(all) == 0 || all[len(all)-1].SHA != sha {
			return false
		}
		last = all[len(all)-1]
		return last.State() == "success" || last.State() == "failure" || last.State() == "error"
	})
	if err != nil {
		return "", fmt.Errorf("%s was not deployed to %s: %w", sha[:7], env, err)
	}
	if last.State() != "success" {
		return "", fmt.Errorf("the deployment to %s is %s: %s", env, last.State(), last.Statuses[len(last.Statuses)-1].Description)
	}
	return last.Digest, nil
}

// command comments, and waits for what it asks for.
func (c *company) command(ctx context.Context, pull github.Pull, who, body, env, sha string) (string, error) {
	if _, err := c.github.Comment(repoName, int(pull.Number), who, body); err != nil {
		return "", err
	}
	return c.deployed(ctx, env, sha)
}

// refusal comments, and waits for the answer that refuses it.
func (c *company) refusal(ctx context.Context, pull github.Pull, who, body string) (said string, err error) {
	before := 0
	c.github.Look(func(v *github.View) { before = len(v.Deployments(repoName, "production")) })
	if _, err := c.github.Comment(repoName, int(pull.Number), who, body); err != nil {
		return "", err
	}
	err = c.wait(ctx, func(v *github.View) bool {
		for _, comment := range v.Comments(repoName, pull.Number) {
			if i := strings.Index(comment.Body, "Refused. "); i >= 0 {
				said = strings.TrimSpace(comment.Body[i:])
			}
		}
		return said != ""
	})
	if err != nil {
		return "", fmt.Errorf("the command was not refused: %w", err)
	}
	c.github.Look(func(v *github.View) {
		if len(v.Deployments(repoName, "production")) != before {
			err = errors.New("it was refused, and deployed all the same")
		}
	})
	return said, err
}

// shows asks the place itself which digest it serves, and whether its page holds a text.
func (c *company) shows(env, digest, text string) error {
	s, err := c.look(env)
	if err != nil {
		return err
	}
	if s.Digest != digest || !strings.Contains(s.Serves, text) {
		return fmt.Errorf("%s serves %s without %q, expected %s", env, short(s.Digest), text, short(digest))
	}
	return nil
}

func short(digest string) string {
	digest = strings.TrimPrefix(digest, "sha256:")
	if len(digest) > 12 {
		return digest[:12]
	}
	return digest
}
