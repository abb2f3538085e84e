// Package sourcetest proves that an implementation of source.Source keeps the contract, against a real Git server.
//
// It never replaces the server by a double: what is tested is git against git http-backend, over HTTP. Start reading
// at Run; the server and its repositories are for other tests to use as well.
package sourcetest

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// Open makes a fresh source that keeps all it keeps in dir and fetches from url. It ends with the test.
type Open func(t *testing.T, dir string, url func(pipeline.Repo) string) source.Source

// Run proves a source.
func Run(t *testing.T, open Open) {
	for name, check := range map[string]func(*testing.T, *bench){
		"AFetchedCommitCanBeRead":                     fetchedCommitCanBeRead,
		"ACommitThatIsThereCostsNoNetwork":            knownCommitCostsNoNetwork,
		"ManyWhoWantTheSameCommitFetchItOnce":         manyFetchOnce,
		"EveryEarlierCommitStaysReadable":             earlierCommitsStay,
		"ACommitThatAForcedPushRemovedIsFetchedById":  forcedAwayIsFetchedByID,
		"ACommitThatIsGoneIsNoCommit":                 goneIsNoCommit,
		"AServerThatServesNamesOnlyIsAskedByName":     byNameOnly,
		"ByNameAForcedAwayCommitIsNoCommit":           byNameForcedAway,
		"ATagIsNoCommit":                              tagIsNoCommit,
		"HostileCommitsAndRefsNeverReachTheServer":    hostileNames,
		"AWrongTokenIsRefusedWithASentence":           wrongToken,
		"ATokenIsAskedForOncePerFetchOnly":            tokenOnce,
		"ATokenIsNeverSeenFromOutside":                tokenNeverSeen,
		"ATokenDoesNotFollowARedirect":                redirect,
		"AnAnonymousFetchWorks":                       anonymous,
		"AFetchThatIsCancelledEndsAndCanBeRepeated":   cancelled,
		"WhatIsNoFileIsNotRead":                       noFile,
		"AFileOverTheLimitIsNotRead":                  fileLimit,
		"APathThatLeavesTheTreeIsRefused":             hostilePaths,
		"WhatWasNotFetchedIsNoCommit":                 notFetched,
		"AWorkspaceHoldsTheTreeAndNothingElse":        workspaceHoldsTree,
		"WhatAWorkspaceWritesStaysInIt":               workspaceIsPrivate,
		"TenWorkspacesOfOneCommitAtOnce":              parallelWorkspaces,
		"ClosingAWorkspaceLeavesNothing":              workspaceCloses,
		"AnExpectedWorkspaceIsAsFreshAsAnyOther":      expected,
		"AWorkspaceIDIsAPlainNameUsedOnce":            workspaceIDs,
		"ALinkedFolderIsNotWrittenThrough":            linkedFolder,
		"AGitFolderInACommitIsRefused":                gitFolder,
		"ACommitCannotMakeTheSourceRunAProgram":       noPrograms,
		"RepositoriesAreKnownByNumberNotByName":       renamed,
		"TwoRepositoriesDoNotSeeEachOther":            apart,
		"WorkspacesOfFollowingCommitsAreEachComplete": following,
		"PartsFillTheFoldersThatTheyName":             partsFill,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &bench{Server: NewServer(t), dir: filepath.Join(t.TempDir(), "source")}
			b.src = open(t, b.dir, b.URL)
			b.repo = b.Repository(t, 1001, "acme", "shop")
			check(t, b)
		})
	}
}

// bench is what each check gets: a server, a repository on it, and a source that knows nothing yet.
type bench struct {
	*Server
	dir  string
	src  source.Source
	repo *Repository
}

// token hands out the right one.
func (b *bench) token(context.Context) (string, error) { return b.Token(), nil }

// fetch fetches from main and must succeed.
func (b *bench) fetch(t *testing.T, commit pipeline.Commit) {
	t.Helper()
	if err := b.src.Fetch(t.Context(), b.repo.Repo, "refs/heads/main", commit, b.token); err != nil {
		t.Fatalf("fetch: %v", err)
	}
}

// wantFile reads a file and compares.
func (b *bench) wantFile(t *testing.T, commit pipeline.Commit, path, want string) {
	t.Helper()
	got, err := b.src.File(t.Context(), b.repo.Repo, commit, path, 1<<20)
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	if string(got) != want {
		t.Fatalf("%s holds %q, want %q", path, got, want)
	}
}

// workspace opens one that ends with the test at the latest.
func (b *bench) workspace(t *testing.T, commit pipeline.Commit, id string) source.Workspace {
	t.Helper()
	w, err := b.src.Workspace(t.Context(), b.repo.Repo, commit, id)
	if err != nil {
		t.Fatalf("workspace %s: %v", id, err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("close workspace %s: %v", id, err)
		}
	})
	return w
}

// noSecret fails when text holds the token in any of its forms.
func (b *bench) noSecret(t *testing.T, where, text string) {
	t.Helper()
	for _, form := range b.forms() {
		if strings.Contains(text, form) {
			t.Errorf("the token shows in %s: %.300q", where, text)
		}
	}
}

func (b *bench) forms() []string {
	basic := base64.StdEncoding.EncodeToString([]byte("x-access-token:" + b.Token()))
	return []string{b.Token(), basic, base64.StdEncoding.EncodeToString([]byte(b.Token()))}
}

// noSecretOnDisk looks into every file of the source.
func (b *bench) noSecretOnDisk(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		body, err := os.ReadFile(path)
		for _, form := range b.forms() {
			if bytes.Contains(body, []byte(form)) {
				t.Errorf("the token stands in the file %s", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// commandLines are those of all processes of this machine.
func commandLines() string {
	var all strings.Builder
	found, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range found {
		line, _ := os.ReadFile(f) // it may have ended meanwhile
		all.Write(line)
		all.WriteByte('\n')
	}
	return all.String()
}

// soon waits for what another process does in its own time.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("after 10 seconds it is still not so that %s", what)
		}
	}
}

// look describes a folder: each path with its kind, mode and content.
func look(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		body := ""
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			if body, err = os.Readlink(path); err != nil {
				return err
			}
		case d.Type().IsRegular():
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			body = string(raw)
		}
		fmt.Fprintf(&b, "%q %s %q\n", rel, info.Mode(), body)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
