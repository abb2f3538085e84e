package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// Copy makes a copy of the journal at from, as it stands at one moment, in a file that must not be there yet. It never writes
// to the original nor puts anything beside it, whether a server runs on it or not: nobody's records are at stake when
// someone only looks.
func Copy(ctx context.Context, from, to string) error {
	absolute, err := filepath.Abs(from)
	if err == nil {
		err = copyTo(ctx, absolute, to)
	}
	if err != nil {
		return fmt.Errorf("journal: copy %s: %w", from, explain(err))
	}
	return nil
}

func copyTo(ctx context.Context, from, to string) (err error) {
	query := url.Values{"mode": {"ro"}}
	switch {
	case !there(from + "-wal"):
		query.Set("immutable", "1") // a server ended well: nothing changes, and SQLite need not make its files beside it
	case !there(from + "-shm"):
		return copyFiles(from, to) // nobody has it open, and to read its log here SQLite would write beside it
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: from, RawQuery: query.Encode()}).String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	return err
}

func copyFiles(from, to string) error {
	for _, suffix := range []string{"", "-wal"} {
		if err := copyFile(from+suffix, to+suffix); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = io.Copy(out, in)
		err = errors.Join(err, out.Close())
	}
	return errors.Join(err, in.Close())
}

func there(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
