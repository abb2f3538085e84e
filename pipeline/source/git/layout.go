package git

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/layers"
)

// basesTried bounds how many complete trees are compared with a commit, the last used first.
const basesTried = 4

// layOut writes a commit's files into a new tree and publishes it with one rename. The caller holds the layout gate.
func (s *Source) layOut(ctx context.Context, r *repository, repo pipeline.Repo, commit pipeline.Commit) (*tree, error) {
	began := time.Now()
	fresh := filepath.Join(r.trees, ".new-"+string(commit))
	if err := emptyAgain(fresh); err != nil {
		return nil, fmt.Errorf("source: make room for a tree: %w", err)
	}
	t := &tree{commit: commit, folder: filepath.Join(r.trees, string(commit))}
	var err error
	base, objects := s.chooseBase(ctx, r, commit)
	if base != nil {
		t.base, err = base, s.layer(ctx, r, base, commit, objects, fresh)
		if err != nil && ctx.Err() == nil { // whatever it was, a complete checkout does not depend on it
			s.log.Warn("a layer could not be made, all files are checked out", "repo", repo.Slug(), "commit", string(commit), "error", err)
			t.base = nil
			err = emptyAgain(fresh)
		}
	}
	if t.base == nil && err == nil {
		t.entries, err = s.complete(ctx, r, commit, fresh)
	}
	if err == nil {
		err = os.Rename(fresh, t.folder)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("source: lay out %s of %s: %w", commit.Short(), repo.Slug(), err), layers.RemoveAll(fresh))
	}
	s.log.Debug("tree laid out", "repo", repo.Slug(), "commit", string(commit), "layer", t.base != nil, "took", time.Since(began))
	return t, nil
}

// emptyAgain makes room for a tree, whatever was there.
func emptyAgain(fresh string) error {
	if err := layers.RemoveAll(fresh); err != nil {
		return err
	}
	return os.MkdirAll(filepath.Join(fresh, "files"), 0o700)
}

// complete checks all files out, as a tree.
func (s *Source) complete(ctx context.Context, r *repository, commit pipeline.Commit, fresh string) (entries int, err error) {
	files := filepath.Join(fresh, "files")
	if entries, _, err = s.checkOut(ctx, r, commit, files, filepath.Join(fresh, "index")); err != nil {
		return 0, err
	}
	return entries, s.seal(files)
}

// checkOut checks all files out into an empty folder, and counts them and their bytes first. git itself refuses to write
// through a link and outside of the folder.
func (s *Source) checkOut(ctx context.Context, r *repository, commit pipeline.Commit, files, index string) (entries int, total int64, err error) {
	list := call{dir: r.mirror, limit: 4 * mostPaths, args: []string{"ls-tree", "-r", "-z", "-l", "--full-tree", "--end-of-options", string(commit)}}
	out, err := s.git.run(ctx, list)
	if err != nil {
		return 0, 0, err
	}
	for entry := range bytes.SplitSeq(out, []byte{0}) {
		head, _, _ := bytes.Cut(entry, []byte("\t"))
		if f := bytes.Fields(head); len(f) == 4 {
			entries++
			n, _ := strconv.ParseInt(string(f[3]), 10, 64) // "-" for a submodule, which brings no bytes
			total += n
		}
	}
	if total > s.opts.MaxTree {
		return 0, 0, fmt.Errorf("its files have %d bytes, more than the %d that are allowed", total, s.opts.MaxTree)
	}
	return entries, total, s.readTree(ctx, r, files, index, commit)
}

// readTree brings a folder from what the first of two commits holds to what the last holds; with one commit, it starts
// from nothing. Only files that differ are looked at. index is git's note of what is there.
func (s *Source) readTree(ctx context.Context, r *repository, folder, index string, commits ...pipeline.Commit) error {
	args := []string{"read-tree", "-m", "-u", "--no-recurse-submodules"}
	for _, c := range commits {
		args = append(args, string(c))
	}
	_, err := s.git.run(ctx, call{dir: r.mirror, env: []string{"GIT_WORK_TREE=" + folder, "GIT_INDEX_FILE=" + index}, args: args})
	return err
}

// layer checks the differences to base out: git works on an overlay mount over it, and what it wrote is the layer.
func (s *Source) layer(ctx context.Context, r *repository, base *tree, commit pipeline.Commit, objects []byte, fresh string) (err error) {
	if err := s.measure(ctx, r, objects); err != nil {
		return err
	}
	at := func(name string) string { return filepath.Join(fresh, name) }
	for _, name := range []string{"scratch", "merged"} {
		if err := os.Mkdir(at(name), 0o700); err != nil {
			return err
		}
	}
	stat, err := os.ReadFile(filepath.Join(base.folder, "index"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(at("index"), stat, 0o600); err != nil {
		return err
	}
	if err := s.lay.Mount([]string{base.files()}, at("files"), at("scratch"), at("merged")); err != nil {
		return err
	}
	err = s.readTree(ctx, r, at("merged"), at("index"), base.commit, commit)
	if err = errors.Join(err, layers.Unmount(at("merged"))); err != nil {
		return err
	}
	for _, name := range []string{"scratch", "merged", "index"} {
		if err := layers.RemoveAll(at(name)); err != nil {
			return err
		}
	}
	if err := os.WriteFile(at("base"), []byte(base.commit), 0o600); err != nil {
		return err
	}
	return s.seal(at("files"))
}

// chooseBase finds the complete tree that differs least from the commit, and the objects that the commit has more.
// It finds none when a complete checkout is the better way.
func (s *Source) chooseBase(ctx context.Context, r *repository, commit pipeline.Commit) (*tree, []byte) {
	if !s.lay.Overlay {
		return nil, nil
	}
	r.state.Lock()
	var bases []*tree
	for _, t := range r.kept {
		if t.base == nil && t.entries >= s.layersFrom {
			bases = append(bases, t)
		}
	}
	slices.SortFunc(bases, func(a, b *tree) int { return cmp.Compare(b.used, a.used) })
	r.state.Unlock()
	var best *tree
	var objects []byte
	least := 0
	for _, t := range bases[:min(len(bases), basesTried)] {
		out, err := s.git.run(ctx, call{dir: r.mirror, limit: mostPaths,
			args: []string{"diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", "--no-ext-diff", "--end-of-options", string(t.commit), string(commit), "--"}})
		if err != nil { // the base's commit may have been dropped from the mirror meanwhile
			continue
		}
		n, more, ok := changes(out)
		if ok && n <= t.entries/4 && (best == nil || n < least) {
			best, objects, least = t, more, n
		}
		if best != nil && least <= best.entries/100 {
			break
		}
	}
	return best, objects
}

// changes reads git's raw difference. It is not ok when attributes changed: they say how other, unchanged files are
// written, so that a layer would not be what a complete checkout is.
func changes(raw []byte) (n int, objects []byte, ok bool) {
	fields := strings.Split(string(raw), "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		f := strings.Fields(fields[i]) // :mode mode object object status
		if len(f) != 5 || filepath.Base(fields[i+1]) == ".gitattributes" {
			return 0, nil, false
		}
		n++
		if f[1] != "000000" && f[1] != "160000" {
			objects = append(append(objects, f[3]...), '\n')
		}
	}
	return n, objects, true
}

// measure refuses objects that are too big together, before one of them is written.
func (s *Source) measure(ctx context.Context, r *repository, objects []byte) error {
	if len(objects) == 0 {
		return nil
	}
	out, err := s.git.run(ctx, call{dir: r.mirror, limit: mostPaths, stdin: objects, args: []string{"cat-file", "--batch-check=%(objectsize)"}})
	if err != nil {
		return err
	}
	total := int64(0)
	for line := range strings.Lines(string(out)) {
		n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		if err != nil {
			return fmt.Errorf("read a file's size: %w", err)
		}
		total += n
	}
	if total > s.opts.MaxTree {
		return fmt.Errorf("its files have %d bytes more than an earlier commit's, more than the %d that are allowed", total, s.opts.MaxTree)
	}
	return nil
}

// seal gives the files to the owner of workspaces, with the two modes that git knows, whatever the server's umask is.
// Nobody else can write here yet, so walking by path is safe. The marks of an overlay (device files) stay as they are.
func (s *Source) seal(files string) error {
	return filepath.WalkDir(files, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&(fs.ModeDevice|fs.ModeCharDevice) != 0 {
			return err
		}
		if !s.opts.Owner.Unchanged() {
			if err := os.Lchown(path, s.opts.Owner.UID, s.opts.Owner.GID); err != nil {
				return err
			}
		}
		if d.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if d.IsDir() || info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		if info.Mode().Perm() == mode {
			return nil
		}
		return os.Chmod(path, mode)
	})
}

// indexEntries reads how many files a git index lists. https://git-scm.com/docs/index-format
func indexEntries(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var head struct {
		Magic            [4]byte
		Version, Entries uint32
	}
	if err := binary.Read(f, binary.BigEndian, &head); err != nil {
		return 0, err
	}
	return int(head.Entries), nil
}
