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
// comes from several bases is first laid out beside it, by hard links; and so is what holds links that lead out of the
// workspace, which are left out.
func (a *App) keepBuilt(ctx context.Context, b *building, root *os.Root, dir, stood string, n int, art buildspec.Artifacts) (*pipeline.Artifact, string) {
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
	m, err := artifact.Manifest{}, artifact.ErrUnsafe
	if !art.Flat && len(art.Exclude) == 0 && !strings.ContainsAny(base, "*?[{") {
		m, err = a.putBelow(ctx, dir, artifact.Base{}, base, files)
	}
	if errors.Is(err, artifact.ErrUnsafe) {
		at := path.Join(buildspec.ResultsDir, fmt.Sprint(n))
		defer func() { _ = root.RemoveAll(buildspec.ResultsDir) }() // the workspace itself goes soon
		out, laid := layBeside(root, base, files, art, at)
		if len(out) > 0 {
			a.say(b, "Left out are %d links that lead out of the workspace, or to a folder: %s", len(out), strings.Join(out[:min(len(out), 5)], ", "))
		}
		if err = laid; err == nil {
			m, err = a.putBelow(ctx, dir, artifact.Base{}, at, []string{"**"})
		}
	}
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

// layBeside links what an artifact holds into a folder of its own. A link that leads to something else of the artifact
// stays a link, one that leads to another file of the workspace becomes that file; out are those that are neither.
func layBeside(root *os.Root, base string, files []string, art buildspec.Artifacts, at string) (out []string, err error) {
	bases := []string{base}
	if strings.ContainsAny(base, "*?[{") {
		if bases, err = doublestar.Glob(root.FS(), base, doublestar.WithNoFollow()); err != nil {
			return out, err
		}
	}
	if err := root.MkdirAll(at, 0o755); err != nil {
		return out, err
	}
	count := 0
	for _, b := range bases {
		info, err := root.Lstat(path.Join(b, "."))
		if err != nil || !info.IsDir() {
			continue
		}
		below, err := fs.Sub(root.FS(), path.Join(b, "."))
		if err != nil {
			return out, err
		}
		for _, glob := range files {
			names, err := doublestar.Glob(below, glob, doublestar.WithFilesOnly(), doublestar.WithNoFollow())
			if err != nil {
				return out, err
			}
			for _, name := range names {
				if strings.HasPrefix(path.Join(b, name), buildspec.ResultsDir+"/") || excluded(art.Exclude, name) {
					continue
				}
				if count++; count > artifact.DefaultLimits.Files {
					return out, fmt.Errorf("%w: more than %d files match", artifact.ErrTooBig, artifact.DefaultLimits.Files)
				}
				to := name
				if art.Flat {
					to = path.Base(name)
				}
				laid, err := link(root, path.Join(b, name), path.Join(at, to), at)
				if err != nil {
					return out, err
				}
				if !laid {
					out = append(out, fmt.Sprintf("%q", path.Join(b, name)))
				}
			}
		}
	}
	if count == 0 {
		return out, fmt.Errorf("%w: \"%s\"", artifact.ErrEmpty, strings.Join(files, "\", \""))
	}
	return out, nil
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

// link puts a file under another name, or tells that it cannot be. Of two files of one name the later one counts.
func link(root *os.Root, from, to, top string) (laid bool, err error) {
	if err := root.MkdirAll(path.Dir(to), 0o755); err != nil {
		return false, err
	}
	if err := root.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	info, err := root.Lstat(from)
	if err != nil {
		return false, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := root.Readlink(from)
		if err != nil {
			return false, err
		}
		if !path.IsAbs(target) && strings.HasPrefix(path.Join(path.Dir(to), target), top+"/") {
			return true, root.Symlink(target, to)
		}
		// What it leads to is opened without leaving the workspace. It is no hard link: that would be one to the link.
		if info, err = root.Stat(from); err != nil || !info.Mode().IsRegular() {
			return false, nil
		}
		return true, duplicate(root, from, to, info.Mode().Perm())
	}
	if !info.Mode().IsRegular() {
		return false, nil
	}
	if root.Link(from, to) == nil {
		return true, nil
	}
	return true, duplicate(root, from, to, info.Mode().Perm())
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
