package git

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// pointer is a file of a commit that stands for one in Git LFS.
type pointer struct {
	path    string
	program bool // it may be executed
	oid     string
	size    int64
}

// mostPointer is how large a file may be that is a pointer. https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
const mostPointer = 1024

// pointers lists what of a fetched commit lies in Git LFS: small files with the attribute filter=lfs, by the commit's own
// .gitattributes, that read as pointers.
func (s *Source) pointers(ctx context.Context, r *repository, repo pipeline.Repo, commit pipeline.Commit) (found []pointer, err error) {
	out, err := s.ask(ctx, repo, []pipeline.Commit{commit}, call{limit: 4 * mostPaths,
		args: []string{"ls-tree", "-r", "-z", "-l", "--full-tree", "--end-of-options", string(commit)}})
	if err != nil {
		return nil, err
	}
	type small struct {
		id      string
		program bool
	}
	smalls, attributes := map[string]small{}, false
	var names bytes.Buffer
	for entry := range bytes.SplitSeq(out, []byte{0}) {
		head, at, _ := strings.Cut(string(entry), "\t")
		f := strings.Fields(head)
		if len(f) != 4 || f[1] != "blob" || f[0] == "120000" {
			continue
		}
		attributes = attributes || filepath.Base(at) == ".gitattributes"
		if n, err := strconv.Atoi(f[3]); err == nil && n > 0 && n < mostPointer {
			smalls[at] = small{f[2], f[0] == "100755"}
			names.WriteString(at + "\x00")
		}
	}
	if !attributes || len(smalls) == 0 {
		return nil, nil
	}
	scratch, err := os.MkdirTemp(s.path("home"), "attributes-")
	if err != nil {
		return nil, fmt.Errorf("source: read attributes: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	env := []string{"GIT_INDEX_FILE=" + filepath.Join(scratch, "index")}
	if _, err := s.git.run(ctx, call{dir: r.mirror, env: env, args: []string{"read-tree", string(commit)}}); err != nil {
		return nil, fmt.Errorf("source: read attributes of %s: %w", repo.Slug(), err)
	}
	out, err = s.git.run(ctx, call{dir: r.mirror, env: env, limit: 2 * mostPaths, stdin: names.Bytes(), args: []string{"check-attr", "--cached", "-z", "--stdin", "filter"}})
	if err != nil {
		return nil, fmt.Errorf("source: read attributes of %s: %w", repo.Slug(), err)
	}
	said := strings.Split(string(out), "\x00") // path, attribute, value, and so on
	err = r.objects.ask(ctx, func() error {
		for i := 0; i+2 < len(said); i += 3 {
			if said[i+2] != "lfs" {
				continue
			}
			file := smalls[said[i]]
			data, err := r.objects.wanted("blob", file.id, mostPointer)
			if err != nil {
				return err
			}
			if oid, size, ok := readPointer(string(data)); ok {
				found = append(found, pointer{said[i], file.program, oid, size})
			}
		}
		return nil
	})
	return found, err
}

// readPointer reads what stands in the place of a file. What is no pointer is an ordinary file that was never put into LFS.
func readPointer(text string) (oid string, size int64, ok bool) {
	size = -1
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		key, value, _ := strings.Cut(line, " ")
		switch {
		case i == 0:
			if key != "version" || value != "https://git-lfs.github.com/spec/v1" && value != "https://hawser.github.com/spec/v1" {
				return "", 0, false
			}
		case key == "oid":
			oid = strings.TrimPrefix(value, "sha256:")
			if raw, err := hex.DecodeString(oid); err != nil || len(raw) != 32 || oid != strings.ToLower(oid) || oid == value {
				return "", 0, false
			}
		case key == "size":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 {
				return "", 0, false
			}
			size = n
		}
	}
	return oid, size, oid != "" && size >= 0
}

// large is where a file of Git LFS is kept, beside the mirror: once, by its hash.
func (r *repository) large(oid string) string {
	return filepath.Join(strings.TrimSuffix(r.mirror, ".git")+".lfs", oid[:2], oid)
}

// FetchLarge brings the files that a fetched commit has in Git LFS beside the mirror. What is there costs no network.
func (s *Source) FetchLarge(ctx context.Context, repo pipeline.Repo, commit pipeline.Commit, token source.Token) error {
	r, err := s.repository(repo)
	if err != nil {
		return err
	}
	found, err := s.pointers(ctx, r, repo, commit)
	if err != nil {
		return err
	}
	if err := r.downloading.enter(ctx); err != nil {
		return fmt.Errorf("source: wait for other files in Git LFS: %w", err)
	}
	defer r.downloading.leave()
	missing, total := map[string]int64{}, int64(0)
	for _, p := range found {
		total += p.size
		if info, err := os.Stat(r.large(p.oid)); errors.Is(err, fs.ErrNotExist) {
			missing[p.oid] = p.size
		} else if err != nil || info.Size() != p.size {
			return fmt.Errorf("%w: %s names %d bytes for a file in Git LFS that has others", source.ErrUnusable, oneLine(p.path, 100), p.size)
		}
	}
	if total > s.opts.MaxTree {
		return fmt.Errorf("%w: the files of %s in Git LFS have %d bytes, more than the %d that are allowed", source.ErrUnusable, commit.Short(), total, s.opts.MaxTree)
	}
	if len(missing) == 0 {
		return nil
	}
	return s.downloadLarge(ctx, r, repo, missing, token)
}

// placeLarge puts files of Git LFS into the place of their pointers, below a folder. The store and the layer share one file:
// nobody ever writes to either.
func (s *Source) placeLarge(ctx context.Context, r *repository, p pipeline.Part, at string) error {
	found, err := s.pointers(ctx, r, p.Repo, p.Commit)
	if err != nil {
		return err
	}
	for _, f := range found {
		folder := at
		if dir := filepath.ToSlash(filepath.Dir(f.path)); dir != "." {
			if folder, err = makeFolder(at, dir); err != nil {
				return err
			}
		}
		to := filepath.Join(folder, filepath.Base(f.path))
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("source: place a file of Git LFS: %w", err)
		}
		if !f.program && os.Link(r.large(f.oid), to) == nil {
			continue
		}
		if err := copyLarge(r.large(f.oid), to, f.program); err != nil {
			return fmt.Errorf("source: place a file of Git LFS: %w", err)
		}
	}
	return nil
}

func copyLarge(from, to string, program bool) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	mode := fs.FileMode(0o600)
	if program {
		mode = 0o700
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
