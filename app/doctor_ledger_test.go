package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/deploy/ledger"
)

func TestTheDoctorWarnsOfALedgerKeyBesideTheLedgerAndOfOneThatOthersCanRead(t *testing.T) {
	t.Parallel()
	data, elsewhere := t.TempDir(), t.TempDir()
	put := func(path string, mode os.FileMode) string {
		if err := os.WriteFile(path, []byte("key"), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	beside := put(filepath.Join(data, ledger.KeyFile), 0o600)
	good := put(filepath.Join(elsewhere, "audit.key"), 0o600)
	open := put(filepath.Join(elsewhere, "open.key"), 0o644)
	links := filepath.Join(t.TempDir(), "links")
	if err := os.Symlink(data, links); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(elsewhere, "link.key")
	if err := os.Symlink(beside, link); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		file  string
		level app.Level
		says  string
	}{
		"left out":                 {"", app.Warning, "lies beside it"},
		"named beside":             {beside, app.Warning, "lies beside it"},
		"through a linked folder":  {filepath.Join(links, ledger.KeyFile), app.Warning, "lies beside it"},
		"a link to the one beside": {link, app.Warning, "lies beside it"},
		"elsewhere":                {good, app.OK, "readable by its owner only"},
		"not made yet":             {filepath.Join(elsewhere, "none.key"), app.OK, "the server makes it"},
		"open to others":           {open, app.Failed, "open to others"},
	} {
		f := app.LedgerKeyFinding(app.Config{DataDir: data, LedgerKeyFile: c.file})
		if f.Level != c.level || !strings.Contains(f.Says, c.says) || f.Level != app.OK && f.Fix == "" {
			t.Errorf("%s: %+v", what, f)
		}
	}
}
