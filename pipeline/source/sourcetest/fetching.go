package sourcetest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

func fetchedCommitCanBeRead(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a.txt": Text("one\n"), "dir/sub/b": Program("#!/bin/sh\n"), "empty": Text("")})
	b.fetch(t, c)
	b.wantFile(t, c, "a.txt", "one\n")
	b.wantFile(t, c, "dir/sub/b", "#!/bin/sh\n")
	b.wantFile(t, c, "empty", "")
}

func knownCommitCostsNoNetwork(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1")})
	b.fetch(t, c)
	before := b.Fetches()
	err := b.src.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", c, func(context.Context) (string, error) {
		t.Error("a token was asked for")
		return "", nil
	})
	if err != nil || b.Fetches() != before {
		t.Fatalf("a second fetch gave %v and asked the server %d times", err, b.Fetches()-before)
	}
}

func manyFetchOnce(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1")})
	errs := make([]error, 20)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = b.src.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", c, b.token) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if n := b.Fetches(); n != 1 {
		t.Fatalf("the server saw %d fetches, want 1", n)
	}
	b.wantFile(t, c, "a", "1")
}

func earlierCommitsStay(t *testing.T, b *bench) {
	var commits []pipeline.Commit
	var last pipeline.Commit
	for _, s := range []string{"one", "two", "three", "four"} {
		last = b.repo.Commit(t, "refs/heads/main", last, Files{"a": Text(s), "b": Text("same")})
		commits = append(commits, last)
		b.fetch(t, last)
	}
	for i, s := range []string{"one", "two", "three", "four"} {
		b.wantFile(t, commits[i], "a", s)
		b.wantFile(t, commits[i], "b", "same")
	}
}

func forcedAwayIsFetchedByID(t *testing.T, b *bench) {
	lost := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("lost")})
	b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("new")})
	b.fetch(t, lost)
	b.wantFile(t, lost, "a", "lost")
}

func goneIsNoCommit(t *testing.T, b *bench) {
	lost := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("lost")})
	b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("new")})
	b.repo.Forget(t)
	for _, ref := range []string{"refs/heads/main", "refs/heads/removed", "refs/pull/7/head", ""} {
		err := b.src.Fetch(t.Context(), b.repo.Repo, ref, lost, b.token)
		if !errors.Is(err, source.ErrNoCommit) {
			t.Errorf("by %q: %v, want ErrNoCommit", ref, err)
		}
	}
	if _, err := b.src.File(t.Context(), b.repo.Repo, lost, "a", 100); !errors.Is(err, source.ErrNoCommit) {
		t.Errorf("reading from it: %v, want ErrNoCommit", err)
	}
}

func byNameOnly(t *testing.T, b *bench) {
	b.Change(func(r *Rules) { r.ByNameOnly = true })
	first := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1")})
	second := b.repo.Commit(t, "refs/heads/main", first, Files{"a": Text("2")})
	third := b.repo.Commit(t, "refs/heads/main", second, Files{"a": Text("3")})
	b.fetch(t, third)
	b.wantFile(t, third, "a", "3")
	b.fetch(t, first) // the branch has moved on since the event
	b.wantFile(t, first, "a", "1")
}

func byNameForcedAway(t *testing.T, b *bench) {
	b.Change(func(r *Rules) { r.ByNameOnly = true })
	lost := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("lost")})
	now := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("new")})
	b.repo.git(t, nil, "update-ref", "-d", "refs/made")
	err := b.src.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", lost, b.token)
	if !errors.Is(err, source.ErrNoCommit) {
		t.Fatalf("%v, want ErrNoCommit", err)
	}
	b.fetch(t, now)
	b.wantFile(t, now, "a", "new")
}

func tagIsNoCommit(t *testing.T, b *bench) {
	b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1")})
	b.repo.git(t, nil, "tag", "-a", "-m", "first", "v1", "main")
	tag := pipeline.Commit(strings.TrimSpace(b.repo.git(t, nil, "rev-parse", "refs/tags/v1")))
	for range 2 {
		if err := b.src.Fetch(t.Context(), b.repo.Repo, "refs/tags/v1", tag, b.token); !errors.Is(err, source.ErrNoCommit) {
			t.Fatalf("%v, want ErrNoCommit", err)
		}
	}
}

func hostileNames(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1")})
	for _, commit := range []pipeline.Commit{"", "HEAD", "main", c[:39], pipeline.Commit(strings.ToUpper(string(c))) + "A",
		"--upload-pack=touch /tmp/x", c + "\n", c + "^", "-" + c[1:], "@{u}"} {
		if err := b.src.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", commit, b.token); err == nil {
			t.Errorf("the commit %q was taken", commit)
		}
		if _, err := b.src.File(t.Context(), b.repo.Repo, commit, "a", 10); err == nil {
			t.Errorf("a file of the commit %q was read", commit)
		}
		if w, err := b.src.Workspace(t.Context(), b.repo.Repo, commit, "w"); err == nil {
			t.Errorf("a workspace of the commit %q was made: %s", commit, w.Dir())
		}
	}
	for _, ref := range []string{"main", "HEAD", "-main", "--upload-pack=touch /tmp/x", "-oProxyCommand=x", "refs/heads/", "refs/heads/-x",
		"refs/heads/a..b", "refs/heads/a b", "refs/heads/a:refs/heads/b", "refs/heads/a\nb", "refs/heads/a~1", "refs/heads/x.lock",
		"refs/heads/.x", "refs/heads/a//b", "refs/heads/a/", "refs/heads/*", "refs/heads/a@{1}", "refs/pull/1/head/x", "refs/pull/-1/head",
		"refs/pull/1/../../heads/x", "+refs/heads/main", "^refs/heads/main", "refs/notes/x", "ext::sh -c id", "refs/heads/a\\b", "refs/heads/\x7f"} {
		if err := b.src.Fetch(t.Context(), b.repo.Repo, ref, c, b.token); err == nil {
			t.Errorf("the ref %q was taken", ref)
		}
	}
	if n := b.Fetches(); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
	for _, ref := range []string{"refs/heads/feature/ünïcode-1", "refs/heads/gh-readonly-queue/main/pr-7-" + string(c), "refs/tags/v1.0", "refs/pull/12/head"} {
		if err := b.src.Fetch(t.Context(), b.repo.Repo, ref, c, b.token); err != nil {
			t.Errorf("the good ref %q: %v", ref, err)
		}
	}
}

func wrongToken(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1")})
	given := b.Token()
	b.Change(func(r *Rules) { r.Token = "ghs_another" })
	err := b.src.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", c, func(context.Context) (string, error) { return given, nil })
	if err == nil || errors.Is(err, source.ErrNoCommit) || !strings.Contains(err.Error(), "token") {
		t.Fatalf("%v, want a sentence about the token", err)
	}
	b.Change(func(r *Rules) { r.Token = given })
	b.noSecret(t, "the error", err.Error())
	if strings.ContainsAny(err.Error(), "\x1b\n\r") {
		t.Errorf("the error holds control characters: %q", err)
	}
	b.fetch(t, c) // a refusal is not remembered
}

func tokenOnce(t *testing.T, b *bench) {
	b.Change(func(r *Rules) { r.ByNameOnly = true }) // takes two attempts
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1")})
	var asked atomic.Int64
	err := b.src.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", c, func(context.Context) (string, error) {
		asked.Add(1)
		return b.Token(), nil
	})
	if err != nil || asked.Load() != 1 {
		t.Fatalf("%v after asking %d times for a token", err, asked.Load())
	}
	next := b.repo.Commit(t, "refs/heads/main", c, Files{"a": Text("2")})
	refused := errors.New("no installation")
	err = b.src.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", next, func(context.Context) (string, error) { return "", refused })
	if !errors.Is(err, refused) {
		t.Fatalf("%v, want the reason why there is no token", err)
	}
}

func tokenNeverSeen(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1")})
	var mu sync.Mutex
	seen, asGit := 0, false
	look := func(*http.Request) {
		all := commandLines()
		mu.Lock()
		defer mu.Unlock()
		seen++
		asGit = asGit || strings.Contains(all, string(c))
		b.noSecret(t, "a command line", all)
	}
	b.Change(func(r *Rules) { r.OnRequest = look })
	b.fetch(t, c)
	mu.Lock()
	defer mu.Unlock()
	if seen == 0 || !asGit {
		t.Fatalf("%d requests were seen, git among the command lines: %t; this test looks at nothing", seen, asGit)
	}
	b.workspace(t, c, "w")
	b.noSecretOnDisk(t)
}

func redirect(t *testing.T, b *bench) {
	other := NewServer(t)
	other.Change(func(r *Rules) { r.Token = "" })
	other.Repository(t, 1001, "acme", "store")
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1")})
	b.Change(func(r *Rules) { r.Moved = map[string]string{"/acme/shop.git": other.base + "/acme/store.git"} })
	err := b.src.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", c, b.token)
	if err == nil || errors.Is(err, source.ErrNoCommit) || !strings.Contains(err.Error(), "renamed") {
		t.Fatalf("%v, want a sentence about a renamed repository", err)
	}
	if n := other.Fetches(); n != 0 {
		t.Fatalf("the other server got %d requests", n)
	}
}

func anonymous(t *testing.T, b *bench) {
	b.Change(func(rules *Rules) {
		rules.Token = ""
		rules.OnRequest = func(r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				t.Error("an anonymous fetch sent credentials")
			}
		}
	})
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1")})
	d := b.repo.Commit(t, "refs/heads/main", c, Files{"a": Text("2")})
	b.fetch(t, c)
	if err := b.src.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", d, nil); err != nil {
		t.Fatal(err)
	}
}

func cancelled(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1")})
	reached := make(chan struct{})
	var once sync.Once
	hold := func(r *http.Request) error {
		_, _ = io.Copy(io.Discard, r.Body) // a server notices that a client hung up once it has read all
		once.Do(func() { close(reached) })
		<-r.Context().Done() // ends when git hangs up, which is what this test waits for
		return r.Context().Err()
	}
	b.Change(func(r *Rules) { r.Hold = hold })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- b.src.Fetch(ctx, b.repo.Repo, "refs/heads/main", c, b.token) }()
	<-reached
	waiting := make(chan error, 1)
	hurry, giveUp := context.WithCancel(t.Context())
	go func() { waiting <- b.src.Fetch(hurry, b.repo.Repo, "refs/heads/main", c, b.token) }()
	giveUp()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Fatalf("who waited for another's fetch got %v, want context.Canceled", err)
	}
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want context.Canceled", err)
	}
	soon(t, "git and its helpers have ended", func() bool {
		all := commandLines()
		return !strings.Contains(all, string(c)) && !strings.Contains(all, b.base)
	})
	b.Change(func(r *Rules) { r.Hold = nil })
	b.fetch(t, c)
	b.wantFile(t, c, "a", "1")
}

func renamed(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("1")})
	b.fetch(t, c)
	before := b.Fetches()
	b.repo.Name, b.repo.Owner = "../../etc", "-new;owner"
	b.fetch(t, c)
	b.wantFile(t, c, "a", "1")
	if b.Fetches() != before {
		t.Error("a renamed repository was fetched anew")
	}
}

func apart(t *testing.T, b *bench) {
	c := b.repo.Commit(t, "refs/heads/main", "", Files{"a": Text("secret")})
	b.fetch(t, c)
	other := b.Repository(t, 1002, "acme", "other")
	d := other.Commit(t, "refs/heads/main", "", Files{"a": Text("open")})
	if err := b.src.Fetch(t.Context(), other.Repo, "refs/heads/main", d, b.token); err != nil {
		t.Fatal(err)
	}
	if _, err := b.src.File(t.Context(), other.Repo, c, "a", 100); !errors.Is(err, source.ErrNoCommit) {
		t.Errorf("reading another repository's commit gave %v, want ErrNoCommit", err)
	}
	if _, err := b.src.Workspace(t.Context(), other.Repo, c, "w"); !errors.Is(err, source.ErrNoCommit) {
		t.Errorf("a workspace of another repository's commit gave %v, want ErrNoCommit", err)
	}
}
