package static_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy/target"
	"github.com/conveyor-ci/conveyor/deploy/target/static"
	"github.com/conveyor-ci/conveyor/deploy/target/targettest"
)

// refused fails unless err is ErrRefused and says so with the words.
func refused(t *testing.T, err error, words ...string) {
	t.Helper()
	if !errors.Is(err, target.ErrRefused) {
		t.Fatalf("%v, want ErrRefused", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Fatalf("the refusal %q does not say %q", err, w)
		}
	}
}

// at is version 1 of an environment with a root.
func at(environment, root string) target.Deployment {
	p := targettest.Place{Settings: map[string]string{"root": root}}
	return p.Deployment(environment, 1, 1)
}

func TestARootThatIsNoPlainFolderIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, static.Options{Base: t.TempDir()})
	for _, root := range []string{"", ".", "..", "/", "../other", "a/../../b", "a/../b", "a//b", "a/", "./a", ".hidden", "a/.cd", "a\x00b", "a b", "a\nb", "$HOME", "~root", "a;b", "C:\\x"} {
		err := s.Deploy(t.Context(), at("staging", root), targettest.Site(1).Files)
		if !errors.Is(err, target.ErrRefused) {
			t.Errorf("root %q: %v, want ErrRefused", root, err)
		}
	}
}

func TestAnAbsoluteRootNeedsTheOperatorsWord(t *testing.T) {
	t.Parallel()
	allowed, other := t.TempDir(), t.TempDir()
	closed := open(t, static.Options{Base: t.TempDir()})
	refused(t, closed.Deploy(t.Context(), at("staging", allowed+"/shop"), targettest.Site(1).Files), "CONVEYOR_DEPLOY_ROOTS", allowed)
	s := open(t, static.Options{Base: t.TempDir(), Roots: []string{allowed}})
	refused(t, s.Deploy(t.Context(), at("staging", other+"/shop"), targettest.Site(1).Files), "CONVEYOR_DEPLOY_ROOTS")
	refused(t, s.Deploy(t.Context(), at("staging", allowed+"-not"), targettest.Site(1).Files), "CONVEYOR_DEPLOY_ROOTS")
	if err := s.Deploy(t.Context(), at("staging", allowed+"/shop"), targettest.Site(1).Files); err != nil {
		t.Fatal(err)
	}
	if got := serves(allowed+"/shop", "index.html"); got != targettest.Site(1)["index.html"] {
		t.Fatalf("it serves %q", got)
	}
	if left, _ := os.ReadDir(other); len(left) != 0 {
		t.Fatalf("a refused deployment wrote %v", left)
	}
}

func TestALinkDoesNotLeadOutOfTheAllowedFolders(t *testing.T) {
	t.Parallel()
	allowed, other, base := t.TempDir(), t.TempDir(), t.TempDir()
	for _, dir := range []string{allowed, base} {
		if err := os.Symlink(other, filepath.Join(dir, "out")); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, static.Options{Base: base, Roots: []string{allowed}})
	for _, root := range []string{allowed + "/out", allowed + "/out/shop", "out", "out/shop"} {
		refused(t, s.Deploy(t.Context(), at("staging", root), targettest.Site(1).Files), "CONVEYOR_DEPLOY_ROOTS")
	}
	if left, _ := os.ReadDir(other); len(left) != 0 {
		t.Fatalf("it wrote %v through a link", left)
	}
	if err := os.Symlink(filepath.Join(other, "missing"), filepath.Join(base, "nowhere")); err != nil {
		t.Fatal(err)
	}
	if err := s.Deploy(t.Context(), at("staging", "nowhere"), targettest.Site(1).Files); err == nil {
		t.Fatal("it made the folder that a dangling link names")
	}
}

func TestEachPullRequestHasAFolderOfItsOwn(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	s := open(t, static.Options{Base: base})
	if err := s.Deploy(t.Context(), at("preview/pr-12", "shop/preview"), targettest.Site(1).Files); err != nil {
		t.Fatal(err)
	}
	if serves(base+"/shop/preview/pr-12", "index.html") == "" {
		t.Fatal("preview/pr-12 is not served from its own folder")
	}
	for _, environment := range []string{"preview/", "preview/..", "preview/.cd", "preview/a b", "preview/a.b"} {
		refused(t, s.Deploy(t.Context(), at(environment, "shop/preview"), targettest.Site(1).Files))
	}
}

func TestTheSettingsSayHowManyReleasesStay(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	s := open(t, static.Options{Base: base})
	p := targettest.Place{Settings: map[string]string{"root": "shop", "keep": "3"}}
	for n := 1; n <= 7; n++ {
		if err := s.Deploy(t.Context(), p.Deployment("staging", n, 1), targettest.Site(n).Files); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := os.ReadDir(base + "/shop/releases"); len(left) != 3 {
		t.Fatalf("%d releases stay, want 3", len(left))
	}
	for _, keep := range []string{"", "0", "-1", "101", "all"} {
		p.Settings["keep"] = keep
		refused(t, s.Deploy(t.Context(), p.Deployment("staging", 8, 1), targettest.Site(8).Files), "1 to 100")
	}
}

func TestASiteDoesNotLieInsideOfAnother(t *testing.T) {
	t.Parallel()
	s := open(t, static.Options{Base: t.TempDir()})
	if err := s.Deploy(t.Context(), at("staging", "shop"), targettest.Site(1).Files); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{"shop/current", "shop/releases/x", "shop/sub/site"} {
		d := at("production", root)
		refused(t, s.Deploy(t.Context(), d, targettest.Site(1).Files), "beside")
	}
}

func TestAFolderBelongsToOneEnvironmentOfOneRepository(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	s := open(t, static.Options{Base: base})
	if err := s.Deploy(t.Context(), at("staging", "shop"), targettest.Site(1).Files); err != nil {
		t.Fatal(err)
	}
	foreign := at("staging", "shop")
	foreign.Repo.ID, foreign.Token = 8, 100
	production := at("production", "shop")
	production.Token = 100
	for _, d := range []target.Deployment{foreign, production} {
		refused(t, s.Deploy(t.Context(), d, targettest.Site(1).Files), "belongs to the environment staging of repository 7")
		refused(t, s.Remove(t.Context(), d))
	}
	if err := s.Remove(t.Context(), at("staging", "shop")); err != nil {
		t.Fatal(err)
	}
	if err := s.Deploy(t.Context(), foreign, targettest.Site(1).Files); err != nil {
		t.Fatalf("a folder that was given up cannot be taken: %v", err)
	}
	refused(t, s.Deploy(t.Context(), at("staging", "shop"), targettest.Site(1).Files))
	if serves(base+"/shop", "index.html") == "" {
		t.Fatal("the new owner's site is gone")
	}
}

func TestAFolderNamedCurrentIsNotTakenAway(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	file := filepath.Join(base, "shop", "current", "by-hand.html")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := open(t, static.Options{Base: base})
	refused(t, s.Deploy(t.Context(), at("staging", "shop"), targettest.Site(1).Files), "move it away")
	refused(t, s.Remove(t.Context(), at("staging", "shop")), "move it away")
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
}

func TestATokenThatCannotBeReadKeepsEveryoneOut(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	s := open(t, static.Options{Base: base})
	d := at("staging", "shop")
	if err := s.Deploy(t.Context(), d, targettest.Site(1).Files); err != nil {
		t.Fatal(err)
	}
	for _, spoiled := range []string{"", "{}", "not json", `{"token":-4}`} {
		if err := os.WriteFile(filepath.Join(base, "shop", ".cd", "token"), []byte(spoiled), 0o600); err != nil {
			t.Fatal(err)
		}
		d.Token = 1000
		if err := s.Deploy(t.Context(), d, targettest.Site(1).Files); err == nil || !strings.Contains(err.Error(), "repair") {
			t.Fatalf("token file %q: %v, want a refusal that says what to do", spoiled, err)
		}
	}
}

func TestOptionsThatWouldOpenTheDiskAreRefused(t *testing.T) {
	t.Parallel()
	for _, o := range []static.Options{{}, {Base: "sites"}, {Base: t.TempDir(), Roots: []string{"/"}}, {Base: t.TempDir(), Roots: []string{"/srv/.."}}, {Base: t.TempDir(), Roots: []string{"srv"}}} {
		if _, err := static.New(o); err == nil {
			t.Errorf("New(%+v) = nil error", o)
		}
	}
}
