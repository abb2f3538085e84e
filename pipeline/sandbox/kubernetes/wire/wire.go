// Package wire is what the server and the keeper of a pod say to each other, and how folders go over.
//
// They speak over one stream, that of a command which the API server has run in the keeper's container. Within it are
// several: each begins with a Request of the side that opens it. It never decides anything, and it never runs anything.
//
// Start reading at Request; Pack and Unpack in tree.go are the folders.
package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// Version is of the words in this package. A keeper of another one is not spoken with.
const Version = 1

// Where things are in the containers of a pod.
const (
	Program   = "/usr/local/bin/conveyor-pod" // in the keeper's image
	WorkDir   = "/workspace"
	HomeDir   = "/home/build"
	GivenDir  = "/step" // in memory, and for the step to read only
	Tool      = GivenDir + "/pod"
	Script    = GivenDir + "/script"
	Secrets   = GivenDir + "/secrets"
	KeptDir   = "/work"                // the keeper's, with the workspace and the folders below it
	Workspace = KeptDir + "/workspace" // as the keeper sees it
	ToolDir   = "/conveyor"            // a service's, with the program alone
	Usual     = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Folder is where the keeper sees a further folder of the step.
func Folder(i int) string { return fmt.Sprintf("%s/f%d", KeptDir, i) }

// The trial of the network: where one pod listens, and with which exit code another one says what came of it.
const (
	TrialPort = 7000
	Reached   = 10
	Shut      = 11
)

// What a stream within the stream is for.
const (
	Hello = "hello" // the keeper's first word: everyone in the pod has come
	Fill  = "fill"  // a tree follows; the answer is an Answer
	Start = "start" // the step; the answer is frames
	Kill  = "kill"  // end what runs; the frames say that it has
	Fetch = "fetch" // the answer is Changes, and after them a tree
	Out   = "out"   // opened by the keeper: one connection of the step
)

// Request opens a stream.
type Request struct {
	Kind    string
	Version int    `json:",omitempty"`
	To      string `json:",omitempty"` // of Fill and Fetch: the folder, as the keeper sees it
	Step    *Step  `json:",omitempty"`
}

// Answer ends a Fill.
type Answer struct{ Err string }

// Step is what is to be run, and beside what.
type Step struct {
	Shell      []string
	Dir        string
	Env, Paths []string
	Script     []byte
	Secrets    []Secret
	Out        bool
	Limits     sandbox.Limits
	Services   []Service
}

// Secret is one of the step's. It goes over the encrypted connection to the API server and on to the pod, and nowhere else.
type Secret struct {
	Name  string
	Value []byte
	Env   bool
}

// Service is what of a service is not in the pod's description.
type Service struct {
	Name    string
	Command []string
	Dir     string
	Env     []string
	Port    int
	Ready   []string
	Within  time.Duration
	Limits  sandbox.Limits
}

// Changes come before the tree of what is new or has changed.
type Changes struct {
	Gone []string
	Err  string
}

// End is how a step came to its end, as the keeper saw it.
type End struct {
	ExitCode int
	OOM      bool
	PIDs     bool
	Disk     bool
	Memory   int64
	Unfit    string // no shell of the image could be started: why
	Lost     bool   // its first process is gone, and has not said why
	Unready  string // a service kept it from beginning: which,
	Why      string // and why
	NotReady bool   // because it was not ready in time
	Ended    []Gone // services that ended before the step did
}

// Gone is a service that has ended.
type Gone struct {
	Name string
	Code int
	OOM  bool
}

// The kinds of frames.
const (
	Output  = 'o' // bytes of the step
	Said    = 's' // a service's: a byte that tells which, and then bytes
	Over    = 'e' // an End
	Began   = 'b' // the script begins
	maxText = 64 << 20
)

// Frames writes and reads frames on a stream. One goroutine may write, and one read.
type Frames struct{ io.ReadWriter }

// Put writes a frame.
func (f Frames) Put(kind byte, text []byte) error {
	head := make([]byte, 5, 5+len(text))
	head[0] = kind
	binary.BigEndian.PutUint32(head[1:], uint32(len(text)))
	_, err := f.Write(append(head, text...))
	return err
}

// Next reads a frame.
func (f Frames) Next() (kind byte, text []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxText {
		return 0, nil, errors.New("a frame is larger than frames are")
	}
	text = make([]byte, n)
	_, err = io.ReadFull(f, text)
	return head[0], text, err
}

// Send writes a word as JSON, with its length before it.
func Send(w io.Writer, word any) error {
	text, err := json.Marshal(word)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
	return err
}

// Receive reads one.
func Receive(r io.Reader, word any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxText {
		return errors.New("a word is longer than words are")
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return err
	}
	return json.Unmarshal(text, word)
}

// config is how streams are carried: several windows of them, each with its own, and a word now and then, so that a lost
// node is noticed.
func config() *yamux.Config {
	c := yamux.DefaultConfig()
	c.KeepAliveInterval, c.ConnectionWriteTimeout = 15*time.Second, 30*time.Second
	c.MaxStreamWindowSize = 1 << 20
	c.LogOutput = io.Discard
	return c
}

// Serve is the keeper's side of a stream.
func Serve(conn io.ReadWriteCloser) (*yamux.Session, error) { return yamux.Server(conn, config()) }

// Dial is the server's side.
func Dial(conn io.ReadWriteCloser) (*yamux.Session, error) { return yamux.Client(conn, config()) }

// Join carries bytes both ways until both sides have said all.
func Join(a, b net.Conn) {
	done := make(chan struct{}, 2)
	carry := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		closeWrite(to)
		done <- struct{}{}
	}
	go carry(a, b)
	go carry(b, a)
	<-done
	<-done
	_, _ = a.Close(), b.Close()
}

// closeWrite says that nothing more comes. A stream of ours is half closed by Close.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	_ = c.Close()
}
