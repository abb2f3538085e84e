package static

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/conveyor-ci/conveyor/deploy/target"
)

// place is the folder of one environment. Its root is resolved: no part of it is a link.
type place struct {
	root string
	keep int // releases that stay
}

func (p place) link() string               { return filepath.Join(p.root, "current") }
func (p place) releases() string           { return filepath.Join(p.root, "releases") }
func (p place) release(name string) string { return filepath.Join(p.root, "releases", name) }
func (p place) own() string                { return filepath.Join(p.root, ".cd") }

var (
	rootForm = regexp.MustCompile(`^/?[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99})*$`)
	partForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
)

// place finds the folder that a deployment means. Every refusal says who has to change what.
func (t *Target) place(d target.Deployment) (place, error) {
	refuse := func(format string, args ...any) (place, error) {
		return place{}, fmt.Errorf("%w: %s", target.ErrRefused, fmt.Sprintf(format, args...))
	}
	root := d.Settings["root"]
	if root == "" {
		return refuse("the static target of %s names no folder; write `target: {static: FOLDER}`", d.Environment)
	}
	if !rootForm.MatchString(root) {
		return refuse("%q is not the name of a folder; write letters, digits, `-`, `_`, `.` and `/`, no part of it beginning with a dot", root)
	}
	if at := strings.LastIndexByte(d.Environment, '/'); at >= 0 {
		part := d.Environment[at+1:]
		if !partForm.MatchString(part) {
			return refuse("the environment %q cannot have a folder of its own; write letters, digits, `-` and `_`", d.Environment)
		}
		root += "/" + part // one folder for each pull request
	}
	allowed := t.roots
	if !filepath.IsAbs(root) {
		root = filepath.Join(t.base, root)
		allowed = append([]string{t.base}, t.roots...)
	}
	real, err := resolve(root)
	if err != nil {
		return place{}, fmt.Errorf("static: find %s: %w", root, err)
	}
	inside, err := within(real, allowed)
	if err != nil {
		return place{}, fmt.Errorf("static: %w", err)
	}
	if !inside {
		return refuse("%s is in no folder that this server may publish to; its operator can allow one with CONVEYOR_DEPLOY_ROOTS, or write a relative folder", root)
	}
	for above := filepath.Dir(real); above != "/"; above = filepath.Dir(above) {
		if _, err := os.Lstat(filepath.Join(above, ".cd")); err == nil {
			return refuse("%s lies inside of another site, %s; name a folder beside it", root, above)
		}
	}
	keep := t.keep
	if v, ok := d.Settings["keep"]; ok {
		if keep, err = strconv.Atoi(v); err != nil || keep < 1 || keep > 100 {
			return refuse("`keep: %q` is not a number of releases; write 1 to 100", v)
		}
	}
	return place{real, keep}, nil
}

// resolve follows the links of the part of a path that exists.
func resolve(path string) (string, error) {
	rest := ""
	for at := path; ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if info, err := os.Lstat(at); err == nil {
			if info.Mode()&fs.ModeSymlink == 0 {
				return resolve(path) // another deployment has made it in the meantime
			}
			return "", fmt.Errorf("%s is a link that leads nowhere", at)
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

// within reports whether a resolved path is one of the folders, or lies in one.
func within(real string, folders []string) (bool, error) {
	for _, folder := range folders {
		folder, err := resolve(folder)
		if err != nil {
			return false, err
		}
		if real == folder || strings.HasPrefix(real, folder+"/") {
			return true, nil
		}
	}
	return false, nil
}

// servable refuses a place where something else than our link would have to be taken away.
func (p place) servable() error {
	st, err := os.Lstat(p.link())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("static: %w", err)
	}
	if st.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("%w: %s is not a link of ours; move it away, and deploy again", target.ErrRefused, p.link())
	}
	return nil
}

// mkdirPublic makes a folder and what is missing above it, readable by everyone whatever the umask: another user's web
// server reads it.
func mkdirPublic(path string) error {
	var missing []string
	for at := path; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		missing = append(missing, at)
	}
	slices.Reverse(missing)
	for _, at := range missing {
		if err := os.Mkdir(at, 0o755); err != nil {
			if errors.Is(err, fs.ErrExist) {
				continue // someone else was faster, and gives it its mode
			}
			return err
		}
		if err := os.Chmod(at, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
