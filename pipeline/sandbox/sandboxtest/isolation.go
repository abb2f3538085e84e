package sandboxtest

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// isolation is what keeps steps apart from this machine and from each other.
func isolation(t *testing.T, c Case) {
	t.Run("NothingThatItStartedIsLeft", func(t *testing.T) {
		t.Parallel()
		c.step(t, "setsid sleep 1000 &\n(setsid sh -c '(sleep 1000 &)' &)\nsetsid -f sh -c 'trap \"\" TERM HUP INT; sleep 1000; sleep 1000' </dev/null >/dev/null 2>&1\n"+
			"env -i setsid -f sleep 1000\nnohup sleep 1000 >/dev/null 2>&1 &\necho done\n").passes(t)
	})
	t.Run("KillingEverythingEndsOnlyItself", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "sleep 1000 & kill -KILL -1\nkill -KILL 1\nexit 5\n")
		if !c.OwnKernel {
			s.exits(t, 5)
		} else if v := s.run(t); v.Outcome != sandbox.Exited || v.Passed() { // its kernel does not spare the caller
			t.Errorf("%+v", v)
		}
	})
	t.Run("ItIsNobodyWithoutAnyRight", func(t *testing.T) {
		t.Parallel()
		status := map[string]string{}
		for line := range strings.Lines(c.step(t, "cat /proc/self/status\n").passes(t)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			status[name] = strings.Join(strings.Fields(value), " ")
		}
		user := fmt.Sprint(cmp.Or(c.User, 1000))
		if c.User == OwnUser {
			user, _, _ = strings.Cut(status["Uid"], " ")
		}
		if user == "0" || user == "" {
			t.Errorf("its user is %q", status["Uid"])
		}
		ids := strings.Join([]string{user, user, user, user}, " ")
		for name, want := range map[string]string{
			"Uid": ids, "Gid": ids, "NoNewPrivs": "1", "Seccomp": "2",
			"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapBnd": "0000000000000000", "CapAmb": "0000000000000000",
		} {
			if c.OwnKernel && name == "Seccomp" {
				continue // the filter is on the kernel itself
			}
			if status[name] != want {
				t.Errorf("%s is %q", name, status[name])
			}
		}
		if groups := status["Groups"]; groups != "" && groups != user {
			t.Errorf("it is in the groups %s", groups)
		}
	})
	t.Run("ItHasNoOpenFileOfTheServer", func(t *testing.T) {
		t.Parallel()
		if got := c.step(t, "ls /proc/self/fd\n").passes(t); got != "0\n1\n2\n3\n" { // 3 is the folder that ls reads
			t.Errorf("got %q", got)
		}
	})
	t.Run("ItSeesOnlyItsOwnProcesses", func(t *testing.T) {
		t.Parallel()
		if got := strings.Fields(c.step(t, "cd /proc; set -- [0-9]*; echo $#\n").passes(t)); len(got) != 1 || got[0] != "2" && got[0] != "3" {
			t.Errorf("it sees %q processes", got)
		}
	})
	t.Run("NothingOfTheMachineIsThere", func(t *testing.T) {
		t.Parallel()
		canary := filepath.Join(t.TempDir(), "canary")
		if err := os.WriteFile(canary, []byte("canary"), 0o666); err != nil {
			t.Fatal(err)
		}
		hidden := append(slices.Clone(c.Hidden), canary, "/root", "/var", "/srv", "/opt", "/mnt", "/media", "/boot", "/var/run/docker.sock",
			"/run/docker.sock", "/run/containerd", "/etc/shadow", "/etc/sudoers", "/etc/ssh", "/etc/ssl/private", "/dev/sda", "/dev/vda",
			"/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/net", "/sys/kernel", "/config.json", "/.dockerenv")
		hidden = slices.DeleteFunc(hidden, func(path string) bool { return slices.Contains(c.Shown, path) })
		script := "cd /; ls -d * home/*; ls -A run dev/shm tmp\n"
		for _, path := range hidden {
			script += fmt.Sprintf("if [ -e '%s' ] || [ -L '%s' ]; then echo 'SEEN %s'; fi\n", path, path, path)
		}
		got := c.step(t, script).passes(t)
		if strings.Contains(got, "SEEN") {
			t.Errorf("%s", got)
		}
		known := []string{"bin", "dev", "etc", "home", "home/build", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "step", "sys", "tmp", "usr", "workspace",
			"run:", "secrets", "dev/shm:", "tmp:"}
		for _, name := range strings.Fields(got) {
			if !slices.Contains(known, name) {
				t.Errorf("%s is at its root", name)
			}
		}
	})
	t.Run("NothingOfOneRunIsSeenInTheNext", func(t *testing.T) {
		t.Parallel()
		mark := "touch /tmp/mark \"$HOME/mark\" /dev/shm/mark\n"
		c.step(t, mark).passes(t)
		c.step(t, "for f in /tmp/mark \"$HOME/mark\" /dev/shm/mark; do [ ! -e \"$f\" ]; done\n"+mark).passes(t)
	})
	t.Run("TheRootCannotBeWritten", func(t *testing.T) {
		t.Parallel()
		got := c.step(t, "for d in / /usr /usr/bin /etc /bin /lib /sys /sys/fs/cgroup /sys/fs/cgroup/memory /proc /proc/sys/kernel /run /home /dev /etc/ssl/certs; do\n"+
			"  if (echo x >$d/made) 2>/dev/null; then echo $d; fi\ndone\nif (echo x >>/etc/passwd) 2>/dev/null; then echo passwd; fi\nif (echo x >>/step) 2>/dev/null; then echo step; fi\n").passes(t)
		if got != "" {
			t.Errorf("it could write %q", got)
		}
	})
	t.Run("ThereIsNoNetwork", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = listener.Close() }()
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		got := c.step(t, "for to in 127.0.0.1/"+port+" 1.1.1.1/53 169.254.169.254/80; do\n  if (exec 3<>/dev/tcp/$to) 2>/dev/null; then echo \"reached $to\"; fi\ndone\n"+
			"while read -r name rest; do case $name in *:) echo \"$name\";; esac; done </proc/net/dev\n").passes(t)
		if got := c.without(got); got != "lo:\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("AWayOutIsTheOnlyOne", func(t *testing.T) {
		t.Parallel()
		if c.OwnKernel {
			s := c.step(t, Pass)
			s.spec.Out = func(context.Context, net.Listener) error { return nil }
			s.refused(t)
			return
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = listener.Close() }()
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		s := c.step(t, "for to in 127.0.0.1/"+port+" 1.1.1.1/53 169.254.169.254/80; do\n  if (exec 3<>/dev/tcp/$to) 2>/dev/null; then echo \"reached $to\"; fi\ndone\n"+
			"while read -r name rest; do case $name in *:) echo \"$name\";; esac; done </proc/net/dev\n"+
			"ip link add evil type dummy 2>/dev/null && echo changed\n"+
			"to=${http_proxy#http://}; exec 3<>/dev/tcp/${to%:*}/${to#*:}; echo hello >&3; read -r answer <&3; echo \"$answer\"\n")
		ended := make(chan struct{})
		s.spec.Out = func(ctx context.Context, l net.Listener) error {
			defer close(ended)
			defer context.AfterFunc(ctx, func() { _ = l.Close() })()
			conn, err := l.Accept()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			line, err := bufio.NewReader(conn).ReadString('\n')
			_, _ = fmt.Fprintf(conn, "you said %s", line)
			<-ctx.Done()
			return err
		}
		if got := c.without(s.passes(t)); got != "lo:\nyou said hello\n" {
			t.Errorf("got %q", got)
		}
		select {
		case <-ended:
		default:
			t.Error("the way out is still served when the run has ended")
		}
	})
	t.Run("AWayOutThatFailsIsNotTheStepsFault", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, "sleep 0.1\n")
		s.spec.Out = func(context.Context, net.Listener) error { return errors.New("out of order") }
		if v, err := c.Sandbox.Run(t.Context(), s.spec); err == nil || !c.OwnKernel && !strings.Contains(err.Error(), "out of order") {
			t.Errorf("%+v, %v", v, err)
		}
		s.nothingIsLeft(t)
	})
	t.Run("ItCanTalkToItself", func(t *testing.T) {
		t.Parallel()
		s := c.step(t, probeCommand("loopback"))
		c.layProbe(t, s)
		s.passes(t)
	})
	t.Run("ItCannotBreakOut", func(t *testing.T) {
		t.Parallel()
		abstract := "@conveyor-" + rest(t.TempDir())
		socket, err := net.Listen("unix", abstract)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = socket.Close() }()
		for _, out := range []func(context.Context, net.Listener) error{nil, func(ctx context.Context, _ net.Listener) error { <-ctx.Done(); return nil }} {
			if c.OwnKernel && out != nil {
				continue
			}
			s := c.step(t, probeCommand("escape"))
			s.spec.Env, s.spec.Out = []string{"SOCKET=" + abstract}, out
			c.layProbe(t, s)
			tried, all := 0, len(escapes(abstract))
			if c.OwnKernel {
				s.spec.Env = append(s.spec.Env, "OWN_KERNEL=1")
				all -= len(own)
			}
			for line := range strings.Lines(s.passes(t)) {
				name, came, ok := strings.Cut(strings.TrimSpace(line), ": ")
				if tried++; !ok || came == "done" {
					t.Errorf("%s (with a way out: %t)", name, out != nil)
				}
			}
			if tried != all {
				t.Errorf("%d of %d ways out were tried: %s", tried, all, s.output.String())
			}
		}
	})
}

// without takes the lines of interfaces away that are there and lead nowhere.
func (c Case) without(said string) string {
	for _, name := range c.Beside {
		said = strings.Replace(said, name+":\n", "", 1)
	}
	return said
}

// layProbe puts the test binary itself into the workspace, as the program of probeCommand.
func (c Case) layProbe(t *testing.T, s *step) {
	t.Helper()
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = self.Close() }()
	to, err := os.OpenFile(filepath.Join(s.spec.Workspace, "probe"), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, self); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
}
