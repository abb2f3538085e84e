package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/dir"
	"github.com/conveyor-ci/conveyor/pipeline/layers"
)

// measureArtifact asks what it costs to keep what a step made: a tree like that of a package manager, into an empty store,
// against the archive that anyone would make of it.
func measureArtifact(ctx context.Context, s *session) (_ []row, err error) {
	tree, err := plant(treeFiles, treeBytes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tree.fell()) }()
	at, err := os.MkdirTemp("", "conveyor-bench-artifact-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(at)) }()

	var ours, archived []float64
	var oursSize, archiveSize int64
	n := 0
	full := func(ctx context.Context) error {
		n++
		folder := filepath.Join(at, "store-"+strconv.Itoa(n))
		store, err := dir.Open(folder, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		began := time.Now()
		_, err = store.Put(ctx, tree.dir, []string{"**"}, artifact.Limits{})
		ours = append(ours, milliseconds(time.Since(began)))
		if err := errors.Join(err, store.Close()); err != nil {
			return err
		}
		oursSize, err = weigh(folder)
		return errors.Join(err, os.RemoveAll(folder))
	}
	archive := func(ctx context.Context) error {
		to := filepath.Join(at, "tree.tar.zst")
		began := time.Now()
		if out, err := exec.CommandContext(ctx, "sh", "-c", `tar -c -C "$1" . | zstd -1 -T2 -q -f -o "$2"`, "archive", tree.dir, to).CombinedOutput(); err != nil {
			return fmt.Errorf("tar and zstd: %w: %s", err, out)
		}
		archived = append(archived, milliseconds(time.Since(began)))
		archiveSize, err = weigh(to)
		return errors.Join(err, os.Remove(to))
	}
	if err := s.play(ctx, 30*time.Second, pick(s, s.rounds, 2), full, archive); err != nil {
		return nil, err
	}
	again, err := measureAgain(ctx, s, tree, at)
	return append([]row{
		lower("20,000 files of 454 MB stored, deduplicated and synced", "ms", median(ours), median(archived), "tar and zstd -1 -T2 into one file, not synced").aim(1.5),
		lower("what they take in the store", "MB", float64(oursSize)/1e6, float64(archiveSize)/1e6, "that file"),
	}, again...), err
}

// measureAgain asks what the next step's copy of the same tree costs, of which it has changed one file in a hundred. As in
// a step's workspace, the tree lies below, and what was changed over it.
func measureAgain(ctx context.Context, s *session, tree *forest, at string) (_ []row, err error) {
	over := filepath.Join(filepath.Dir(tree.dir), filepath.Base(tree.dir)+"-over") // beside the tree, as for a step
	defer func() { err = errors.Join(err, os.RemoveAll(over)) }()
	lay := layers.Probe(filepath.Join(over, "probe"))
	if !lay.Overlay {
		return nil, fmt.Errorf("workspaces are no overlays here: %s", lay)
	}
	store, err := dir.Open(filepath.Join(at, "store"), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	base := artifact.Base{Name: "tree", Written: filepath.Join(over, "upper")}
	merged := filepath.Join(over, "merged")

	// in prepares a workspace in which a share of the files was changed, and hands it over.
	n := 0
	in := func(change bool, do func() error) (err error) {
		if err := os.RemoveAll(over); err != nil {
			return err
		}
		for _, path := range []string{base.Written, filepath.Join(over, "scratch"), merged} {
			if err := os.MkdirAll(path, 0o755); err != nil {
				return err
			}
		}
		if err := lay.Mount([]string{tree.dir}, base.Written, filepath.Join(over, "scratch"), merged); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, layers.Unmount(merged)) }()
		if n++; change {
			if err := tree.change(merged, n); err != nil {
				return err
			}
		}
		return do()
	}
	var ours, walked []float64
	put := func(ctx context.Context) error {
		return in(n > 0, func() error {
			before, err := weigh(filepath.Join(at, "store"))
			if err != nil {
				return err
			}
			began := time.Now()
			m, err := store.PutOver(ctx, merged, base, []string{"**"}, artifact.Limits{})
			ours = append(ours, milliseconds(time.Since(began)))
			if err != nil || len(m.Files) != treeFiles {
				return errors.Join(err, fmt.Errorf("%d files were stored", len(m.Files)))
			}
			after, err := weigh(filepath.Join(at, "store"))
			if n > 1 && after-before > treeBytes/50 {
				return errors.Join(err, fmt.Errorf("of one file in a hundred %d bytes were stored", after-before))
			}
			return err
		})
	}
	walk := func(ctx context.Context) error {
		return in(true, func() error {
			began := time.Now()
			out, err := exec.CommandContext(ctx, "find", merged, "-size", "+999999k").CombinedOutput()
			if walked = append(walked, milliseconds(time.Since(began))); err != nil || len(out) > 0 {
				return fmt.Errorf("find: %w: %s", err, out)
			}
			return nil
		})
	}
	if err := put(ctx); err != nil { // the tree is new
		return nil, err
	}
	ours = ours[:0]
	if err := s.play(ctx, 45*time.Second, pick(s, 2*s.rounds+1, 2), put, walk); err != nil {
		return nil, err
	}
	return []row{
		lower("the same, when a step has changed 1 % of them", "ms", median(ours), median(walked), "find, which asks for each file's size").aim(1.5),
	}, nil
}

// weigh is how many bytes the files below a path hold.
func weigh(path string) (n int64, err error) {
	err = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}
