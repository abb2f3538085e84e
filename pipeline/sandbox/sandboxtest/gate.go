package sandboxtest

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// gate is what a step waits at until the test lets it go on.
type gate struct {
	wait string // reads a word into the variable of that name
	open func(*testing.T)
}

// gate makes one for a step: a pipe in its workspace, or a word on its way out where the workspace is elsewhere.
func (c Case) gate(t *testing.T, s *step) gate {
	t.Helper()
	if c.Remote {
		opened := make(chan struct{})
		s.spec.Out = func(ctx context.Context, l net.Listener) error {
			defer context.AfterFunc(ctx, func() { _ = l.Close() })()
			conn, err := l.Accept()
			if err != nil {
				return nil
			}
			select {
			case <-opened:
			case <-ctx.Done():
			}
			_, err = io.WriteString(conn, "go\n")
			return errorsOf(err, conn.Close())
		}
		return gate{"exec 3<>/dev/tcp/" + address() + "; read -r word <&3", func(*testing.T) { close(opened) }}
	}
	path := filepath.Join(s.spec.Workspace, "gate")
	if c.OwnKernel { // a pipe has two ends of one kernel
		return gate{"until word=$(cat gate 2>/dev/null) && [ -n \"$word\" ]; do sleep 0.05; done", func(t *testing.T) {
			t.Helper()
			if err := os.WriteFile(path, []byte("go\n"), 0o666); err != nil {
				t.Fatal(err)
			}
		}}
	}
	var st unix.Stat_t
	if err := unix.Stat(s.spec.Workspace, &st); err != nil {
		t.Fatal(err)
	}
	if err := errorsOf(unix.Mkfifo(path, 0o600), os.Chown(path, int(st.Uid), int(st.Gid))); err != nil {
		t.Fatal(err)
	}
	return gate{"read -r word <gate", func(t *testing.T) {
		t.Helper()
		end, err := os.OpenFile(path, os.O_RDWR, 0) // which does not wait for the step
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = end.Close() })
		if _, err := end.WriteString("go\n"); err != nil {
			t.Fatal(err)
		}
	}}
}

func errorsOf(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// address is that of the way out, as a shell takes it.
func address() string {
	host, port, _ := net.SplitHostPort(sandbox.ProxyAddress)
	return host + "/" + port
}
