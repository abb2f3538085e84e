package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/conveyor-ci/conveyor/deploy/ledger"
)

// ledgerKeyFinding looks at where the key lies that signs the ledger, and at who may read it. Beside the ledger it proves
// less: a copy of one folder is enough then to write another past.
func ledgerKeyFinding(c Config) Finding {
	f := Finding{Name: "Ledger key", Level: OK}
	file := c.LedgerKeyFile
	if file == "" {
		file = filepath.Join(c.DataDir, ledger.KeyFile)
	}
	at, err := os.Stat(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		f.Says = "`" + file + "` is not there yet: the server makes it when it starts."
	case err != nil:
		f.Level, f.Says, f.Fix = Failed, "`"+file+"` cannot be read: "+lower(err), "Run this as the user who runs the server, and give that user the file."
		return f
	case at.Mode().Perm()&0o077 != 0:
		f.Level, f.Says, f.Fix = Failed, fmt.Sprintf("`%s` is open to others (%#o): they can sign lines of the ledger.", file, at.Mode().Perm()), "`chmod 600 "+file+"`, and begin a new ledger when someone may have read it."
		return f
	default:
		f.Says = "`" + file + "` is readable by its owner only, and does not lie beside the ledger."
	}
	if leads(filepath.Dir(file)) == leads(c.DataDir) || leads(filepath.Dir(leads(file))) == leads(c.DataDir) {
		f.Level, f.Says = Warning, "The key that signs the ledger lies beside it: whoever can read the data folder, or a copy of it, can write another past."
		f.Fix = "Stop the server, move `" + file + "` to a folder of its own, and name it with `CONVEYOR_LEDGER_KEY_FILE`."
	}
	return f
}

// leads is where a path leads; of one that is not there, itself.
func leads(path string) string {
	if led, err := filepath.EvalSymlinks(path); err == nil {
		return led
	}
	return filepath.Clean(path)
}
