package inside

import (
	"fmt"
	"net"
	"os"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox/kubernetes/wire"
)

// listen lets itself be reached, until it is killed.
func listen() error {
	l, err := net.Listen("tcp", fmt.Sprint(":", wire.TrialPort))
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		_ = conn.Close()
	}
}

// reach tries to reach one that listens. A pod that is to be free may take a while until it is, and one that is to be shut in
// until the network knows of it: so the first goes on until it gets there, and the second until it fails three times.
func reach(args []string) int {
	if len(args) != 2 {
		return 2
	}
	failed := 0
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(args[0], fmt.Sprint(wire.TrialPort)), 2*time.Second)
		switch {
		case err == nil && args[1] == "free":
			return wire.Reached
		case err == nil:
			_ = conn.Close()
			failed = 0
		default:
			fmt.Fprintln(os.Stderr, err)
			if failed++; failed == 3 && args[1] != "free" {
				return wire.Shut
			}
		}
	}
	if args[1] == "free" {
		return wire.Shut
	}
	return wire.Reached
}
