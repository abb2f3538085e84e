package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/buildspec"
)

// keepBuilt stores one artifact of a buildspec. Why it could not be stored is a sentence for people.
//
// Most artifacts are folders below one base, and are stored from where they are. What is flattened, left out in part, or
// comes from several bases is first laid out beside it, by hard links.
func (a *App) keepBuilt(ctx context.Context, root *os.Root, dir, stood string, n int, art buildspec.Artifacts) (*pipeline.Artifact, string) {
	base, why := inside(art.Base, stood)
	if why != "" {
		return nil, why
	}
	var files []string
	for _, f := range art.Files {
		file, why := inside(f, stood)
		if why != "" {
			return nil, why
		}
		if info, err := root.Lstat(path.Join(base, file)); err == nil && info.IsDir() {
			file = path.Join(file, "**") // a folder stands for everything in it
		}
		files = append(files, file)
	}
	if art.Flat || len(art.Exclude) > 0 || strings.ContainsAny(base, "*?[{") {
		at := path.Join(buildspec.ResultsDir, fmt.Sprint(n))
		defer func() { _ = root.RemoveAll(buildspec.ResultsDir) }() // the workspace itself goes soon
		if err := layBeside(root, base, files, art, at); err != nil {
			return nil, strings.TrimPrefix(err.Error(), "artifact: ")
		}
		base, files = at, []string{"**"}
	}
	m, err := a.putBelow(ctx, dir, base, files)
	if err != nil {
		return nil, strings.TrimPrefix(err.Error(), "artifact: ")
	}
	return &pipeline.Artifact{Digest: m.Digest(), Files: len(m.Files), Size: m.Size()}, ""
}

// inside is a path of a buildspec, from the top of the workspace. stood is where the workspace was while the build ran.
func inside(name, stood string) (clean, why string) {
	if stood != "" && (name == stood || strings.HasPrefix(name, stood+"/")) {
		name = strings.TrimPrefix(strings.TrimPrefix(name, stood), "/")
	}
	clean = path.Clean(strings.TrimSpace(name))
	switch {
	case clean == ".":
		return "", ""
	case path.IsAbs(clean), strings.HasPrefix(clean, "~"), clean == "..", strings.HasPrefix(clean, "../"):
		return "", fmt.Sprintf("%q is outside of the workspace, and only what is in it can be kept", name)
	case !doublestar.ValidatePattern(clean), strings.Count(clean, "{") > 4:
		return "", fmt.Sprintf("%q is no pattern of files", name)
	}
	return clean, ""
}

// layBeside links what an artifact holds into a folder of its own. Links in the workspace are not followed.
func layBeside(root *os.Root, base string, files []string, art buildspec.Artifacts, at string) error {
	bases := []string{base}
	if strings.ContainsAny(base, "*?[{") {
		var err error
		if bases, err = doublestar.Glob(root.FS(), base, doublestar.WithNoFollow()); err != nil {
			return err
		}
	}
	if err := root.MkdirAll(at, 0o755); err != nil {
		return err
	}
	count := 0
	for _, b := range bases {
		info, err := root.Lstat(path.Join(b, "."))
		if err != nil || !info.IsDir() {
			continue
		}
		below, err := fs.Sub(root.FS(), path.Join(b, "."))
		if err != nil {
			return err
		}
		for _, glob := range files {
			names, err := doublestar.Glob(below, glob, doublestar.WithFilesOnly(), doublestar.WithNoFollow())
			if err != nil {
				return err
			}
			for _, name := range names {
				if strings.HasPrefix(path.Join(b, name), buildspec.ResultsDir+"/") || excluded(art.Exclude, name) {
					continue
				}
				if count++; count > artifact.DefaultLimits.Files {
					return fmt.Errorf("%w: more than %d files match", artifact.ErrTooBig, artifact.DefaultLimits.Files)
				}
				to := name
				if art.Flat {
					to = path.Base(name)
				}
				if err := link(root, path.Join(b, name), path.Join(at, to)); err != nil {
					return err
				}
			}
		}
	}
	if count == 0 {
		return fmt.Errorf("%w: \"%s\"", artifact.ErrEmpty, strings.Join(files, "\", \""))
	}
	return nil
}

func excluded(globs []string, name string) bool {
	for _, glob := range globs {
		glob = strings.TrimPrefix(glob, "./")
		if ok, err := doublestar.Match(glob, name); err == nil && ok {
			return true
		}
		if ok, err := doublestar.Match(strings.TrimSuffix(glob, "/")+"/**", name); err == nil && ok {
			return true
		}
	}
	return false
}

// link puts a file, or a symbolic link itself, under another name. Of two files of one name the later one counts.
func link(root *os.Root, from, to string) error {
	if err := root.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	if err := root.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	info, err := root.Lstat(from)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := root.Readlink(from)
		if err != nil {
			return err
		}
		return root.Symlink(target, to)
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	if root.Link(from, to) == nil {
		return nil
	}
	return duplicate(root, from, to, info.Mode().Perm())
}

// duplicate copies where the kernel refuses a hard link to a file of another user.
func duplicate(root *os.Root, from, to string, mode fs.FileMode) (err error) {
	in, err := root.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	out, err := root.OpenFile(filepath.FromSlash(to), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
