package kubernetes

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/kubernetes/wire"
)

// folders are those of a step: where they are here, and where the keeper has them. The workspace is the first.
func folders(spec sandbox.Spec) (here, there []string) {
	here, there = []string{spec.Workspace}, []string{wire.Workspace}
	for i, f := range spec.Folders {
		here, there = append(here, f.Source), append(there, wire.Folder(i))
	}
	return here, there
}

// holds adds up what a step's folders hold.
func holds(spec sandbox.Spec) (all wire.Most) {
	here, _ := folders(spec)
	for _, dir := range here {
		m := wire.Size(dir)
		all.Bytes += m.Bytes
		all.Files += m.Files
	}
	return all
}

// checkFolders refuses a further folder that a link of the workspace leads elsewhere with.
func checkFolders(spec sandbox.Spec) error {
	uid, gid := -1, -1
	var st unix.Stat_t
	if err := unix.Lstat(spec.Workspace, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("the workspace %s is no folder: %w", spec.Workspace, errors.Join(err, unix.ENOTDIR))
	}
	for _, f := range spec.Folders {
		if strings.HasPrefix(f.Target, "~/") {
			continue // the home folder is empty
		}
		fd, err := box.MakeFolder(spec.Workspace, filepath.Clean(f.Target), uid, gid)
		if err != nil {
			return fmt.Errorf("show the folder %s: %w", f.Target, err)
		}
		_ = unix.Close(fd)
	}
	return nil
}

// fill sends the step's folders.
func (l *line) fill(ctx context.Context, spec sandbox.Spec) error {
	here, there := folders(spec)
	for i := range here {
		if err := l.send(ctx, here[i], there[i]); err != nil {
			return fmt.Errorf("send it its files: %w", err)
		}
	}
	return nil
}

func (l *line) send(ctx context.Context, from, to string) error {
	stream, err := l.open(wire.Request{Kind: wire.Fill, To: to})
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	defer context.AfterFunc(ctx, func() { _ = stream.SetDeadline(past) })()
	packed := wire.Pack(ctx, from, stream, nil)
	var a wire.Answer
	if packed != nil { // the other side may have said why it takes nothing more; it waits when it has not
		_ = stream.Close()
	}
	if err := wire.Receive(stream, &a); err != nil {
		return errors.Join(packed, err)
	}
	if a.Err != "" {
		return errors.New(oneLine(a.Err))
	}
	return packed
}

// fetch brings back what the step has changed. Whatever comes is within the limits, and within its folder.
func (l *line) fetch(ctx context.Context, spec sandbox.Spec, most wire.Most) error {
	here, there := folders(spec)
	for i := range here {
		if err := l.receive(ctx, there[i], here[i], most); err != nil {
			return fmt.Errorf("bring its files back: %w", err)
		}
	}
	return nil
}

func (l *line) receive(ctx context.Context, from, to string, most wire.Most) error {
	stream, err := l.open(wire.Request{Kind: wire.Fetch, To: from})
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	defer context.AfterFunc(ctx, func() { _ = stream.SetDeadline(past) })()
	var c wire.Changes
	in := bufio.NewReaderSize(stream, 256<<10)
	if err := wire.Receive(in, &c); err != nil {
		return err
	}
	if c.Err != "" {
		return errors.New(oneLine(c.Err))
	}
	if err := wire.Remove(to, c.Gone); err != nil {
		return err
	}
	return wire.Unpack(ctx, in, to, most, -1, -1)
}
