package oci

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

// give writes the step's secrets into a folder in memory, over its root, in a mount namespace of its own: nobody else on
// this machine has a path to them, and they are gone with the box. Only the step's user may read them.
func (s *Sandbox) give(root string, all []secret.Given) error {
	if len(all) == 0 {
		return nil
	}
	uid, gid := s.Owner()
	if err := unix.Mount("secrets", root+secretsDir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0755,size=16m"); err != nil {
		return fmt.Errorf("make a place for secrets: %w", err)
	}
	files := map[string]string{}
	for _, g := range all {
		files[secretsDir+"/"+g.Name] = g.Value.Reveal()
	}
	if text := secret.Script(all); text != "" {
		files[variablesFile] = text
	}
	for name, text := range files {
		if err := errors.Join(os.WriteFile(root+name, []byte(text), 0o400), os.Lchown(root+name, uid, gid)); err != nil {
			return fmt.Errorf("give the secret %s: %w", path.Base(name), err)
		}
	}
	return nil
}

// showFolder binds a folder into the workspace or the home folder. What the commit says is not followed: where it has a
// link or a file on the way, that is an error.
func (s *Sandbox) showFolder(root string, f sandbox.Folder, attr uint64) error {
	below, home := strings.CutPrefix(f.Target, "~/")
	base := root + workDir
	if home {
		base = root + homeDir
	}
	uid, gid := s.Owner()
	at, err := box.MakeFolder(base, below, uid, gid)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(at) }()
	tree, err := unix.OpenTree(unix.AT_FDCWD, filepath.Clean(f.Source), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(tree) }()
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attr}); err != nil {
		return err
	}
	return unix.MoveMount(tree, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}
