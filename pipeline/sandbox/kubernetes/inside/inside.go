// Package inside is the program in a pod: its keeper, and the first process of the step and of each service.
//
// The keeper is a container of its own. It has the files, the step's way out and the line to the server; the first processes
// run what they are told, with the box's own filter of system calls, and end with everything below them. None of them has a
// right, an account of the cluster or a secret that is not the step's. It never trusts what runs below it: a step can do
// nothing to the keeper but write into the folders that both see.
//
// Start reading at Main; keeper.go is the one side, first.go the other.
package inside

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox/kubernetes/wire"
)

// keeper is where the keeper listens, until everyone has come. It is a name in the pod's own network: no folder holds it.
const keeper = "@conveyor-keeper"

// Main is the program. Its words are those of the containers' commands.
func Main(args []string) int {
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, "conveyor-pod is run by Conveyor in the pods of its steps, and does nothing by itself")
		return 2
	}
	var err error
	switch what, rest := args[1], args[2:]; what {
	case "lay":
		err = lay(rest)
	case "keep":
		err = keep(rest)
	case "link":
		err = link()
	case "first":
		return first(rest)
	case "listen":
		err = listen()
	case "reach":
		return reach(rest)
	case "begin":
		err = begin(rest)
	default:
		err = fmt.Errorf("%q is no word that it knows", what)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conveyor-pod:", err)
		return 1
	}
	return 0
}

// lay prepares the folders that the containers share: the program itself, and each folder that is named. It runs before
// the others, as the step's user.
func lay(folders []string) error {
	for _, to := range []string{wire.Tool, wire.ToolDir + "/pod"} {
		if err := copyItself(to); err != nil {
			return err
		}
	}
	for _, dir := range folders {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func copyItself(to string) (err error) {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o555)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// link carries the server's stream to the keeper. The API server runs it, and its end is the keeper's, too.
func link() error {
	conn, err := call(role{Server: true}, time.Minute) // it may be just starting
	if err != nil {
		return err
	}
	done := make(chan error, 2)
	go func() { _, err := io.Copy(os.Stdout, conn); done <- err }()
	go func() { _, err := io.Copy(conn, os.Stdin); done <- err }()
	return errors.Join(<-done, conn.Close()) // the first of them: a server that is gone is gone
}

// role is the first word to the keeper.
type role struct {
	Server  bool   `json:",omitempty"`
	Service string `json:",omitempty"` // empty is the step
}

// call reaches the keeper, whose container may start later.
func call(r role, patience time.Duration) (net.Conn, error) {
	end := time.Now().Add(patience)
	for {
		conn, err := net.Dial("unix", keeper)
		if err == nil {
			return conn, wire.Send(conn, r)
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("the keeper does not listen: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// ignoreTerm keeps a first process from ending politely: who wants it to end kills it, or closes the line to it.
func ignoreTerm() { signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE) }
