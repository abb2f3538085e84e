package artifact

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// No real build comes near these. They keep the work of checking a hostile manifest, and of walking a hostile
// workspace, small.
const (
	maxPath  = 1024 // bytes of a path, and of a link's target
	maxName  = 255  // bytes between two slashes, as file systems have it
	maxDepth = 100  // folders below each other
)

// Check refuses, with ErrUnsafe, a manifest that could write outside its folder or mean different files on different
// machines, and with ErrTooBig one over the limits. Nothing is laid out, and nothing is stored, without it.
func (m Manifest) Check(limits Limits) error {
	limits = limits.OrDefault()
	if len(m.Files) == 0 {
		return fmt.Errorf("%w: the manifest lists nothing", ErrEmpty)
	}
	if len(m.Files) > limits.Files {
		return fmt.Errorf("%w: %d files, allowed are %d", ErrTooBig, len(m.Files), limits.Files)
	}
	var total int64
	for i, f := range m.Files {
		if err := f.check(limits); err != nil {
			return err
		}
		if f.Size > limits.Bytes-total {
			return fmt.Errorf("%w: the files hold more than %d bytes together", ErrTooBig, limits.Bytes)
		}
		total += f.Size
		if i > 0 && m.Files[i-1].Path >= f.Path {
			return fmt.Errorf("%w: %q is listed twice or out of order", ErrUnsafe, f.Path)
		}
	}
	if err := checkTree(m.Files); err != nil {
		return err
	}
	return checkLinks(m.Files)
}

func (f File) check(limits Limits) error {
	if err := checkPath(f.Path); err != nil {
		return err
	}
	if f.Link != "" {
		if f.Mode != 0 || f.Size != 0 || f.Digest != "" {
			return fmt.Errorf("%w: %q is a link and a file at once", ErrUnsafe, f.Path)
		}
		return checkText("the link target", f.Link)
	}
	switch {
	case f.Mode != 0o644 && f.Mode != 0o755:
		return fmt.Errorf("%w: %q has the mode %#o; only 0644 and 0755 are stored", ErrUnsafe, f.Path, f.Mode)
	case !f.Digest.Valid():
		return fmt.Errorf("%w: %q has no valid digest", ErrUnsafe, f.Path)
	case f.Size < 0:
		return fmt.Errorf("%w: %q has a negative size", ErrUnsafe, f.Path)
	case f.Size > limits.File:
		return fmt.Errorf("%w: %q has %d bytes, allowed are %d", ErrTooBig, f.Path, f.Size, limits.File)
	}
	return nil
}

// checkPath accepts a clean relative path with slashes that means the same file everywhere.
func checkPath(path string) error {
	if err := checkText("the path", path); err != nil {
		return err
	}
	depth := 0
	for name := range strings.SplitSeq(path, "/") {
		if depth++; depth > maxDepth {
			return fmt.Errorf("%w: %q is more than %d folders deep", ErrUnsafe, path, maxDepth)
		}
		if name == "" || name == "." || name == ".." {
			return fmt.Errorf("%w: the path %q is absolute or not clean", ErrUnsafe, path)
		}
		if len(name) > maxName {
			return fmt.Errorf("%w: a name in %q is longer than %d bytes", ErrUnsafe, path, maxName)
		}
	}
	return nil
}

func checkText(what, s string) error {
	if s == "" || len(s) > maxPath {
		return fmt.Errorf("%w: %s %.80q must have 1 to %d bytes", ErrUnsafe, what, s, maxPath)
	}
	// Other bytes would not survive the manifest's JSON: two different names could become one.
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: %s %q is not UTF-8", ErrUnsafe, what, s)
	}
	for _, r := range s {
		// A backslash separates folders on some machines; control characters lie in terminals and logs.
		if r < 0x20 || r == 0x7f || r == '\\' {
			return fmt.Errorf("%w: %s %q holds a backslash or a control character", ErrUnsafe, what, s)
		}
	}
	return nil
}

// checkTree refuses an entry below another entry (a folder cannot be a file or a link), and two names that differ in
// case only: on a file system that ignores case the second would overwrite the first, or be written through it.
func checkTree(files []File) error {
	const folder = true
	kinds := make(map[string]bool, len(files)+len(files)/4) // spelled path → is it a folder
	spelled := make(map[string]string)                      // folded path → as spelled, only where they differ
	see := func(path string) error {
		folded := fold(path)
		if other, ok := spelled[folded]; ok && other != path {
			return fmt.Errorf("%w: %q and %q differ in case only", ErrUnsafe, other, path)
		}
		if folded != path {
			if _, ok := kinds[folded]; ok {
				return fmt.Errorf("%w: %q and %q differ in case only", ErrUnsafe, folded, path)
			}
			spelled[folded] = path
		}
		return nil
	}
	for _, f := range files {
		if _, ok := kinds[f.Path]; ok {
			return fmt.Errorf("%w: %q is listed as a folder and as a file", ErrUnsafe, f.Path)
		}
		if err := see(f.Path); err != nil {
			return err
		}
		kinds[f.Path] = !folder
		for parent := parentOf(f.Path); parent != ""; parent = parentOf(parent) {
			isFolder, ok := kinds[parent]
			if ok && isFolder {
				break // and all above it were seen with it
			}
			if ok {
				return fmt.Errorf("%w: %q lies below %q, which is not a folder", ErrUnsafe, f.Path, parent)
			}
			if err := see(parent); err != nil {
				return err
			}
			kinds[parent] = folder
		}
	}
	return nil
}

// fold maps names that some file system takes for the same one to one string.
func fold(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// parentOf is the folder of a clean relative path, "" at the top.
func parentOf(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return ""
	}
	return path[:i]
}
