package oci

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

// opening is what stands on the line to a deputy: the options, once, or else a run. With it go the ends of an errand.
type opening struct {
	Options *Options `json:",omitempty"`
}

// words are a spec as it is told: without what is a file of this process, and with secrets, which show themselves to nobody
// who writes a spec down.
type words struct {
	ID, Script, Workspace, Dir, Writes string
	Shell, Env, Paths                  []string
	Limits                             sandbox.Limits
	Secrets                            []told
	Folders                            []sandbox.Folder
	WayOut                             bool
}

type told struct {
	Name, Value string
	Env         bool
}

func wordsOf(s sandbox.Spec) words {
	w := words{
		ID: s.ID, Script: s.Script, Workspace: s.Workspace, Dir: s.Dir, Writes: s.Writes, Shell: s.Shell, Env: s.Env, Paths: s.Paths,
		Limits: s.Limits, Folders: s.Folders, WayOut: s.Out != nil,
	}
	for _, g := range s.Secrets {
		w.Secrets = append(w.Secrets, told{g.Name, g.Value.Reveal(), g.Env})
	}
	return w
}

// spec is what was told. The output and the way out are still to be set.
func (w words) spec() sandbox.Spec {
	s := sandbox.Spec{
		ID: w.ID, Script: w.Script, Workspace: w.Workspace, Dir: w.Dir, Writes: w.Writes, Shell: w.Shell, Env: w.Env, Paths: w.Paths,
		Limits: w.Limits, Folders: w.Folders,
	}
	for _, g := range w.Secrets {
		s.Secrets = append(s.Secrets, secret.Given{Name: g.Name, Value: secret.New(g.Value), Env: g.Env})
	}
	return s
}

// answer is what came of an errand.
type answer struct {
	Isolation sandbox.Isolation
	Limits    sandbox.Limits
	Verdict   sandbox.Verdict
	Err       string
}

// errand is one thing that a deputy is asked to do, seen from either side. On talk goes what is asked, and the answer;
// when the asking side shuts its direction, the errand is cancelled. On files goes the listener of a way out, and back
// what came of serving it.
type errand struct{ talk, files *end }

// end is one end of a socket pair.
type end struct{ *net.UnixConn }

func (e *end) close() {
	if e != nil && e.UnixConn != nil {
		_ = e.UnixConn.Close()
	}
}

func (e errand) close() {
	e.talk.close()
	e.files.close()
}

func (e errand) cancel() { _ = e.talk.CloseWrite() }

func (e errand) tell(v any) error {
	if err := gob.NewEncoder(e.talk).Encode(v); err != nil {
		return fmt.Errorf("speak to the deputy: %w", err)
	}
	return nil
}

func (e errand) receive(v any) error {
	if err := gob.NewDecoder(e.talk).Decode(v); errors.Is(err, io.EOF) {
		return errors.New("the deputy for steps has ended: start the server again")
	} else if err != nil {
		return fmt.Errorf("hear the deputy: %w", err)
	}
	return nil
}

// serve waits for the listener in the box, if it comes, and serves the way out on it until the other side shuts it.
func (e errand) serve(ctx context.Context, out func(context.Context, net.Listener) error) {
	_, files, err := receiveFiles(e.files.UnixConn, 1, 1)
	if err != nil || len(files) != 1 {
		closeAll(files)
		return // the box was not made
	}
	l, err := net.FileListener(files[0])
	closeAll(files)
	if err == nil {
		ctx, cancel := context.WithCancel(ctx)
		shut := make(chan struct{})
		go func() {
			defer close(shut)
			_, _ = io.Copy(io.Discard, e.files)
			cancel()
		}()
		err = out(ctx, l)
		_ = l.Close()
		cancel()
		defer func() { <-shut }()
	}
	if err != nil {
		_, _ = io.WriteString(e.files, err.Error())
	}
	_ = e.files.CloseWrite()
}

// out is a way out whose listener is served at the other side.
func (e errand) out(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = e.files.CloseWrite() })()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	_, _, err = e.files.WriteMsgUnix([]byte{0}, unix.UnixRights(int(file.Fd())), nil)
	_ = file.Close()
	_ = l.Close()
	if err != nil {
		return err
	}
	said, err := io.ReadAll(io.LimitReader(e.files, saidSize))
	if err == nil && len(said) > 0 {
		err = errors.New(string(said))
	}
	return err
}

// linePair is a socket pair that keeps messages apart: this process's end, and one to hand down.
func linePair() (ours *net.UnixConn, theirs *os.File, err error) { return pairOf(unix.SOCK_SEQPACKET) }

func pairOf(kind int) (ours *net.UnixConn, theirs *os.File, err error) {
	fd, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket: %w", err)
	}
	theirs = os.NewFile(uintptr(fd[1]), "deputy")
	if ours, err = connOf(os.NewFile(uintptr(fd[0]), "server")); err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return ours, theirs, nil
}

// connOf takes the file over.
func connOf(f *os.File) (*net.UnixConn, error) {
	defer func() { _ = f.Close() }() // FileConn has a copy
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, is := c.(*net.UnixConn)
	if !is {
		return nil, errors.Join(errors.New("it is no socket of this machine"), c.Close())
	}
	return u, nil
}

// send begins an errand.
func (d *Deputy) send(o opening, more ...*os.File) (e errand, err error) {
	text, err := json.Marshal(o)
	if err != nil {
		return e, err
	}
	var theirs [2]*os.File
	ends := [2]*end{{}, {}}
	for i := range ends {
		if ends[i].UnixConn, theirs[i], err = pairOf(unix.SOCK_STREAM); err != nil {
			break
		}
		defer func() { _ = theirs[i].Close() }()
	}
	e = errand{ends[0], ends[1]}
	if err == nil {
		fds := []int{int(theirs[0].Fd()), int(theirs[1].Fd())}
		for _, f := range more {
			fds = append(fds, int(f.Fd()))
		}
		_, _, err = d.line.WriteMsgUnix(text, unix.UnixRights(fds...), nil)
	}
	if err != nil {
		e.close()
		return e, fmt.Errorf("speak to the deputy: %w", err)
	}
	return e, nil
}

// receiveFiles reads one message and the files that come with it.
func receiveFiles(c *net.UnixConn, size, most int) (text []byte, files []*os.File, err error) {
	text, rights := make([]byte, size), make([]byte, unix.CmsgSpace(most*4))
	n, control, _, _, err := c.ReadMsgUnix(text, rights)
	if err != nil {
		return nil, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:control])
	if err != nil {
		return nil, nil, err
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "given"))
		}
	}
	if n == 0 {
		closeAll(files)
		return nil, nil, io.EOF
	}
	return text[:n], files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
