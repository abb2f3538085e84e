package git

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// reader reads objects of one mirror through a `git cat-file` that stays open, so that an object costs a line through a
// pipe and not a process. It is asked by full object ids only. One that nobody uses for a while ends, and the next
// question starts another.
type reader struct {
	git  program
	dir  string
	turn gate // held while it is asked

	mu   sync.Mutex // guards what follows against the end by the clock
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	idle *time.Timer
	used uint64 // counts uses, so that the clock of an earlier one ends nothing
}

// readerIdle is how long a reader stays open after its last use.
const readerIdle = time.Minute

// object is what an id names. Of a missing one the kind is empty.
type object struct {
	kind string
	size int64
}

// ask lets f ask questions, one after the other. One that fails leaves the answers out of step: the process is ended.
// The end of ctx ends it, too.
func (o *reader) ask(ctx context.Context, f func() error) error {
	if err := o.turn.enter(ctx); err != nil {
		return err
	}
	defer o.turn.leave()
	if err := o.open(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, o.kill)
	err := f()
	if !stop() {
		o.end()
		return context.Cause(ctx)
	}
	if err != nil {
		o.end()
		return err
	}
	o.rest()
	return nil
}

// info tells what an id names.
func (o *reader) info(id string) (object, error) { return o.question("info", id) }

// contents reads an object of at most limit bytes.
func (o *reader) contents(id string, limit int64) (object, []byte, error) {
	found, err := o.question("contents", id)
	if err != nil || found.kind == "" {
		return found, nil, err
	}
	if found.size > limit {
		return found, nil, fmt.Errorf("git cat-file: %w", errTooMuch)
	}
	data := make([]byte, found.size+1) // and a line's end
	if _, err := io.ReadFull(o.out, data); err != nil {
		return found, nil, fmt.Errorf("git cat-file: %w", err)
	}
	return found, data[:found.size], nil
}

// wanted reads an object that has to be there, and of that kind.
func (o *reader) wanted(kind, id string, limit int64) ([]byte, error) {
	found, data, err := o.contents(id, limit)
	if err == nil && found.kind != kind {
		err = fmt.Errorf("git cat-file: %s should be a %s and is a %q; the mirror is damaged", id, kind, found.kind)
	}
	return data, err
}

// find walks from a commit to what it has under a path. No mode means that nothing is there.
func (o *reader) find(commit pipeline.Commit, path string) (mode, id string, err error) {
	tree, err := o.treeOf(commit)
	if err != nil {
		return "", "", err
	}
	var data []byte
	mode, id = "40000", tree
	for part := range strings.SplitSeq(path, "/") {
		if mode != "40000" {
			return "", "", nil
		}
		if data, err = o.wanted("tree", id, mostPaths); err != nil {
			return "", "", err
		}
		if mode, id, err = entry(data, part); err != nil || mode == "" {
			return "", "", err
		}
	}
	return mode, id, nil
}

// treeOf is the id of a commit's tree.
func (o *reader) treeOf(commit pipeline.Commit) (string, error) {
	data, err := o.wanted("commit", string(commit), mostCommit)
	if err != nil {
		return "", err
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	tree, ok := bytes.CutPrefix(line, []byte("tree "))
	if !ok {
		return "", fmt.Errorf("git cat-file: the commit %s has no tree", commit)
	}
	return string(tree), nil
}

// mostCommit bounds a commit object, in bytes; its message and signatures are free text.
const mostCommit = 16 << 20

// files are the names of a tree object that are no folders.
func files(tree []byte) (names []string, err error) {
	for len(tree) > 0 {
		mode, rest, hasMode := bytes.Cut(tree, []byte(" "))
		name, rest, hasName := bytes.Cut(rest, []byte{0})
		if !hasMode || !hasName || len(rest) < 20 {
			return nil, errors.New("git cat-file: a tree that cannot be read")
		}
		if string(mode) != "40000" {
			names = append(names, string(name))
		}
		tree = rest[20:]
	}
	return names, nil
}

// entry finds a name in a tree object: a mode, the name, a zero byte and twenty bytes of id for each entry.
func entry(tree []byte, name string) (mode, id string, err error) {
	for len(tree) > 0 {
		m, rest, hasMode := bytes.Cut(tree, []byte(" "))
		n, rest, hasName := bytes.Cut(rest, []byte{0})
		if !hasMode || !hasName || len(rest) < 20 {
			return "", "", errors.New("git cat-file: a tree that cannot be read")
		}
		if string(n) == name {
			return string(m), hex.EncodeToString(rest[:20]), nil
		}
		tree = rest[20:]
	}
	return "", "", nil
}

func (o *reader) question(verb, id string) (object, error) {
	if _, err := io.WriteString(o.in, verb+" "+id+"\n"); err != nil {
		return object{}, fmt.Errorf("git cat-file: %w", err)
	}
	line, err := o.out.ReadSlice('\n')
	if err != nil {
		return object{}, fmt.Errorf("git cat-file: %w", err)
	}
	f := strings.Fields(string(line)) // id, kind, size
	if len(f) == 2 && f[0] == id && f[1] == "missing" {
		return object{}, nil
	}
	if len(f) != 3 || f[0] != id {
		return object{}, fmt.Errorf("git cat-file: it answered %q", oneLine(string(line), 100))
	}
	size, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil || size < 0 {
		return object{}, fmt.Errorf("git cat-file: it answered %q", oneLine(string(line), 100))
	}
	return object{kind: f[1], size: size}, nil
}

// open makes sure that there is a process, and that the clock does not end it now. The caller holds the turn.
func (o *reader) open() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.used++
	if o.idle != nil {
		o.idle.Stop()
	}
	if o.cmd != nil {
		return nil
	}
	c := call{dir: o.dir, args: []string{"cat-file", "--batch-command"}}
	cmd := exec.Command(o.git.path, c.args...) // it ends with its input, and so with this server
	cmd.Dir, cmd.Env = o.git.home, o.git.environment(c)
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	err := errors.Join(inErr, outErr)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("git cat-file: %w", err)
	}
	o.cmd, o.in, o.out = cmd, in, bufio.NewReader(out)
	return nil
}

// rest lets the clock end the process, unless it is used again before.
func (o *reader) rest() {
	o.mu.Lock()
	defer o.mu.Unlock()
	used := o.used
	o.idle = time.AfterFunc(readerIdle, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.used == used {
			o.endLocked()
		}
	})
}

// kill ends the process while it is being asked; who asks gets an error.
func (o *reader) kill() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cmd != nil {
		_ = o.cmd.Process.Kill() // one that has ended already is no concern
	}
}

// end ends the process.
func (o *reader) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.endLocked()
}

func (o *reader) endLocked() {
	if o.cmd == nil {
		return
	}
	o.used++
	if o.idle != nil {
		o.idle.Stop()
	}
	_ = o.in.Close()
	_ = o.cmd.Process.Kill() // it only reads: nothing is lost
	_ = o.cmd.Wait()         // killed, as wanted
	o.cmd, o.in, o.out = nil, nil, nil
}

// close ends the process, when nobody asks it.
func (o *reader) close() {
	o.turn <- struct{}{}
	defer o.turn.leave()
	o.end()
}
