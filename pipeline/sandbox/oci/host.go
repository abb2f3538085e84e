package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// host is what steps see of this machine, looked up once.
type host struct {
	shell []string // the command line of the shell that runs a script, up to its name
	path  string   // PATH
	binds []string // folders and files that are shown read-only, at the same path
	links []link   // symbolic links of the root, as here: /bin -> usr/bin
	etc   []file
	stage string // a folder that everyone may pass through; a run's private mount namespace has the bundle there
}

type link struct{ path, target string }

type file struct {
	path    string
	content []byte
}

// roots are the folders of tools. What else is at the root of this machine does not exist for steps.
var roots = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}

// hidden may not be shown as a whole, nor anything that holds it. What lies in the closed ones may not be shown either:
// there are devices, sockets of powerful servers, or what a step has of its own.
var (
	hidden = []string{"/etc", "/home", "/root", "/var"}
	closed = []string{"/boot", "/dev", "/proc", "/run", "/sys", "/tmp", "/workspace", homeDir, "/var/run", "/etc/ssl/private"}
)

func readHost(o Options) (*host, error) {
	h := &host{path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", etc: etcFiles()}
	for _, dir := range roots {
		switch st, err := os.Lstat(dir); {
		case err != nil:
		case st.Mode()&os.ModeSymlink != 0:
			target, err := os.Readlink(dir)
			if err != nil {
				return nil, fmt.Errorf("sandbox/oci: read %s: %w", dir, err)
			}
			h.links = append(h.links, link{dir, target})
		case st.IsDir():
			h.binds = append(h.binds, dir)
		}
	}
	if _, err := os.Stat("/bin/sh"); err != nil {
		return nil, fmt.Errorf("sandbox/oci: steps need a shell at /bin/sh: %w", err)
	}
	h.shell = []string{"/bin/sh", "-e"}
	if _, err := os.Stat("/bin/bash"); err == nil {
		h.shell = []string{"/bin/bash", "-e", "-o", "pipefail"}
	}
	for _, pattern := range etcFolders {
		found, _ := filepath.Glob(pattern) // the patterns are ours, and right
		for _, dir := range found {
			if st, err := os.Stat(dir); err == nil && st.IsDir() {
				h.binds = append(h.binds, dir)
			}
		}
	}
	tools := slices.Clone(o.Tools)
	if _, err := os.Stat("/usr/local/go/bin"); err == nil {
		tools = append(tools, "/usr/local/go")
	}
	for _, tool := range tools {
		if err := h.addTool(filepath.Clean(tool), o.Dir); err != nil {
			return nil, err
		}
	}
	for _, dir := range []string{"/mnt", "/media", "/srv", "/opt", "/tmp"} {
		if st, err := os.Stat(dir); err == nil && st.IsDir() && st.Mode().Perm()&0o001 != 0 {
			h.stage = dir
			break
		}
	}
	if h.stage == "" {
		return nil, errors.New("sandbox/oci: make a folder /mnt: the root of steps is put together there, where only they see it")
	}
	return h, nil
}

// addTool shows one more folder or file, and puts its programs on PATH.
func (h *host) addTool(tool, dir string) error {
	if !filepath.IsAbs(tool) {
		return fmt.Errorf("sandbox/oci: the tool %q is no absolute path", tool)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("sandbox/oci: %w", err)
	}
	real, err := filepath.EvalSymlinks(tool)
	if err != nil {
		return fmt.Errorf("sandbox/oci: look at the tool %s: %w", tool, err)
	}
	for _, p := range []string{tool, real} {
		for _, secret := range slices.Concat(hidden, closed, []string{dir}) {
			if p == secret || inside(secret, p) || inside(p, secret) && !slices.Contains(hidden, secret) {
				return fmt.Errorf("sandbox/oci: the tool %s cannot be shown to steps, because %s has to stay hidden", tool, secret)
			}
		}
	}
	within := func(root string) bool { return root == tool || inside(tool, root) }
	if !slices.ContainsFunc(roots, within) && !slices.Contains(h.binds, tool) {
		h.binds = append(h.binds, tool)
	}
	if st, err := os.Stat(filepath.Join(tool, "bin")); err == nil && st.IsDir() {
		h.path += ":" + filepath.Join(tool, "bin")
	}
	return nil
}

// inside reports whether path lies below dir.
func inside(path, dir string) bool {
	return strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/") && path != dir
}
