package sandboxtest

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// program is this test binary as an image for services has it.
const program = "/bin/probe"

// listens is a script of a service that says hello to whoever connects.
func listens(port string) []string {
	return []string{"sh", "-c", "exec " + program + " " + probeArg + " listen " + port}
}

// hears is a script of a step that connects to a service by its name.
func hears(name, port string) string {
	return "exec 3<>/dev/tcp/" + name + "/" + port + "; read -r line <&3; echo \"$line\"\n"
}

// served prepares a step with one service, which is ready when its port is open.
func (c Case) served(t *testing.T, script string, command ...string) *step {
	t.Helper()
	s := c.step(t, script)
	s.spec.Services = []sandbox.Service{{
		Name: "db", Root: c.Image(t), Command: command, Env: []string{marker(s.spec.ID)},
		Ready: sandbox.Ready{Port: 7000, Timeout: time.Minute},
	}}
	return s
}

// service is the one of a step, to be changed.
func (s *step) service() *sandbox.Service { return &s.spec.Services[0] }

// unready runs it and wants it not to have begun.
func (s *step) unready(t *testing.T, words ...string) {
	t.Helper()
	v := s.run(t)
	if v.Outcome != sandbox.Unready || v.Passed() || strings.Contains(s.output.String(), "the step begins") {
		t.Fatalf("its service should have kept it from beginning: %+v; output: %.1000q", v, s.output.String())
	}
	for _, word := range append(words, "db") {
		if !strings.Contains(v.Reason, word) {
			t.Errorf("the reason does not say %q: %s; output: %.1000q", word, v.Reason, s.output.String())
		}
	}
}

// services is what adapters keep to that run services beside a step.
func services(t *testing.T, c Case) {
	t.Run("AServiceIsReadyBeforeItsStepBegins", func(t *testing.T) {
		t.Parallel()
		s := c.served(t, hears("db", "7000"), listens("7000")...)
		if got := s.passes(t); !strings.HasSuffix(got, "\nhello\n") || !strings.Contains(got, "db │ listens on 7000\n") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("AServiceIsReadyWhenItsCommandPasses", func(t *testing.T) {
		t.Parallel()
		s := c.served(t, "echo the step begins\n", "sh", "-c", "sleep 0.3; echo is up; touch /tmp/up; exec sleep 1000")
		s.service().Ready = sandbox.Ready{Command: []string{"/bin/sh", "-c", "test -e /tmp/up"}}
		if got := s.passes(t); got != "db │ is up\nthe step begins\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("SeveralServicesRunBesideOneStep", func(t *testing.T) {
		t.Parallel()
		s := c.served(t, hears("db", "7000")+hears("queue", "7001"), listens("7000")...)
		other := *s.service()
		other.Name, other.Command, other.Ready = "queue", listens("7001"), sandbox.Ready{Port: 7001}
		s.spec.Services = append(s.spec.Services, other)
		if got := s.passes(t); strings.Count(got, "hello\n") != 2 {
			t.Errorf("got %q", got)
		}
	})
	t.Run("AServiceThatNeverGetsReadyKeepsItsStepFromBeginning", func(t *testing.T) {
		t.Parallel()
		for what, ready := range map[string]sandbox.Ready{
			"nothing listened on its port 7000": {Port: 7000}, "its ready command did not pass": {Command: []string{"/bin/sh", "-c", "exit 1"}},
			"ready command did not": {Command: []string{"/bin/sleep", "1000"}}, "its ready command": {Command: []string{"/no/such/program"}},
		} {
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				ready.Timeout = 4 * time.Second // in which a service can begin on a busy machine
				s := c.served(t, "echo the step begins\n", "sh", "-c", "echo waits; exec sleep 1000")
				s.service().Ready = ready
				if s.unready(t, what, "within 4s"); !strings.Contains(s.output.String(), "db │ waits\n") {
					t.Errorf("what it said is not there: %q", s.output.String())
				}
			})
		}
	})
	t.Run("AServiceThatEndsEarlyKeepsItsStepFromBeginning", func(t *testing.T) {
		t.Parallel()
		s := c.served(t, "echo the step begins\n", "sh", "-c", "echo no space for data >&2; exit 3")
		if s.unready(t, "exit code 3"); !strings.Contains(s.output.String(), "db │ no space for data\n") {
			t.Errorf("what it said is not there: %q", s.output.String())
		}
	})
	t.Run("AServiceThatCannotBeStartedIsNotTheSandboxsFault", func(t *testing.T) {
		t.Parallel()
		for what, change := range map[string]func(*sandbox.Service){
			"/no/such/program": func(s *sandbox.Service) { s.Command = []string{"/no/such/program"} },
			"no command":       func(s *sandbox.Service) { s.Command = nil },
			"nosuchuser":       func(s *sandbox.Service) { s.User = "nosuchuser" },
		} {
			s := c.served(t, "echo the step begins\n", listens("7000")...)
			change(s.service())
			s.unready(t, what)
		}
	})
	t.Run("AServiceThatEndsMeanwhileIsToldOfWhenTheStepFails", func(t *testing.T) {
		t.Parallel()
		s := c.served(t, "while exec 3<>/dev/tcp/db/7000; do exec 3>&-; sleep 0.05; done 2>/dev/null; exit 5\n", program, probeArg, "listen-twice", "7000")
		if v := s.exits(t, 5); !strings.Contains(v.Reason, "service db") || !strings.Contains(v.Reason, "exit code 9") {
			t.Errorf("%+v", v)
		}
		s = c.served(t, "while exec 3<>/dev/tcp/db/7000; do exec 3>&-; sleep 0.05; done 2>/dev/null; exit 0\n", program, probeArg, "listen-twice", "7000")
		if got := s.passes(t); !strings.Contains(got, "The service db ended") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("AServiceSeesNothingOfItsStepAndTheStepNothingOfIt", func(t *testing.T) {
		t.Parallel()
		s := c.served(t, "echo \"step: $PPID $(ls /proc | grep -c '^[0-9]')\"; test ! -e /tmp/of-the-service; for f in /proc/[0-9]*/cmdline; do if grep -q listen $f; then exit 7; fi; done\n"+hears("db", "7000"),
			"sh", "-c", "touch /tmp/of-the-service; for p in /workspace /step /run/secrets /config.json /home/build; do if [ -e $p ]; then echo SEEN $p; fi; done; "+
				"echo processes: $(ls /proc | grep -c '^[0-9]'); echo secret: ${NAME-none}; exec "+program+" "+probeArg+" listen 7000")
		s.spec.Env = []string{"NAME=of the step"}
		got := s.passes(t)
		if strings.Contains(got, "SEEN") || !strings.Contains(got, "db │ secret: none\n") || !strings.HasSuffix(got, "hello\n") {
			t.Errorf("got %q", got)
		}
		for line := range strings.Lines(got) {
			if n, is := strings.CutPrefix(line, "db │ processes: "); is && !slices.Contains([]string{"2\n", "3\n", "4\n", "5\n"}, n) {
				t.Errorf("it sees %s processes", n)
			}
		}
	})
	t.Run("AServiceWritesWhereItLikesAndNothingOfThatIsKept", func(t *testing.T) {
		t.Parallel()
		root := c.Image(t)
		for range 2 {
			s := c.served(t, hears("db", "7000"), "sh", "-c", "set -e; test ! -e /data; mkdir /data /var; echo x >/data/x; echo x >>/etc/passwd; touch /bin/x /tmp/x /dev/shm/x; exec "+program+" "+probeArg+" listen 7000")
			s.service().Root = root
			if c.Rootless {
				s.service().Command[2] = "set -e; test ! -e /tmp/x; test ! -e /dev/shm/x; touch /tmp/x /dev/shm/x; exec " + program + " " + probeArg + " listen 7000"
			}
			s.passes(t)
		}
	})
	t.Run("AServiceRunsAsTheUserThatIsSaid", func(t *testing.T) {
		t.Parallel()
		users := map[string]string{"": "0 0", "root": "0 0", "70": "70 0", "70:71": "70 71", "0": "0 0"}
		if c.Rootless {
			users = map[string]string{"": "", "root": "", "70": "70 0", "70:71": "70 71"}
		}
		for user, want := range users {
			s := c.served(t, hears("db", "7000"), "sh", "-c", "echo user $(id -u) $(id -g); exec "+program+" "+probeArg+" listen 7000")
			s.service().User = user
			got := s.passes(t)
			if want != "" && !strings.Contains(got, "db │ user "+want+"\n") || strings.Contains(got, "user 0") && c.Rootless {
				t.Errorf("%q: got %q", user, got)
			}
		}
	})
	t.Run("AServicesProgramAndVariablesAreItsOwn", func(t *testing.T) {
		t.Parallel()
		s := c.served(t, hears("db", "7000"), "sh", "-c", "printf '[%s]\\n' \"$NAME\" \"$@\"; pwd; exec "+program+" "+probeArg+" listen 7000", "name", "a b", "$(id)", "'")
		s.service().Env = append(s.service().Env, "NAME=$(id) \"x\"")
		s.service().Dir = "/etc"
		if got := s.passes(t); !strings.HasPrefix(got, "db │ [$(id) \"x\"]\ndb │ [a b]\ndb │ [$(id)]\ndb │ [']\ndb │ /etc\n") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("ACancelEndsServicesToo", func(t *testing.T) {
		t.Parallel()
		for _, ready := range []sandbox.Ready{{Port: 7000}, {Command: []string{"/bin/sh", "-c", "exit 1"}}} {
			s := c.served(t, "echo ready; sleep 1000\n", "sh", "-c", "trap '' TERM HUP; setsid sleep 1000 & echo ready; "+program+" "+probeArg+" listen 7000")
			s.service().Ready = ready
			says := "\nready" // the step
			if ready.Port == 0 {
				says = "db │ ready"
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				s.output.await(ctx, says)
				cancel()
			}()
			if v := s.runUntil(t, ctx); v.Outcome != sandbox.Cancelled {
				t.Errorf("%+v", v)
			}
		}
	})
	t.Run("TheStepsTimeLimitCountsForItsServicesToo", func(t *testing.T) {
		t.Parallel()
		s := c.served(t, "echo the step begins\n", "sh", "-c", "sleep 1000; sleep 1000")
		s.spec.Limits.Wall = 700 * time.Millisecond
		if v := s.run(t); v.Outcome != sandbox.TimedOut {
			t.Errorf("%+v", v)
		}
	})
	t.Run("NothingThatAServiceStartedIsLeft", func(t *testing.T) {
		t.Parallel()
		c.served(t, hears("db", "7000"), "sh", "-c", "setsid sleep 1000 & (setsid sh -c '(sleep 1000 &)' &); exec "+program+" "+probeArg+" listen 7000").passes(t)
	})
	t.Run("ServicesThatMakeNoSenseAreRefused", func(t *testing.T) {
		t.Parallel()
		for name, spoil := range map[string]func(*step){
			"no name": func(s *step) { s.service().Name = "" }, "no host name": func(s *step) { s.service().Name = "a_b" },
			"a name that is taken": func(s *step) { s.service().Name = "localhost" }, "no image": func(s *step) { s.service().Root = nil },
			"never ready": func(s *step) { s.service().Ready = sandbox.Ready{} }, "no port": func(s *step) { s.service().Ready.Port = 70000 },
			"twice": func(s *step) { s.spec.Services = append(s.spec.Services, s.spec.Services[0]) },
			"one port": func(s *step) {
				other := *s.service()
				other.Name = "b"
				s.spec.Services = append(s.spec.Services, other)
			},
			"NUL": func(s *step) { s.service().Command = []string{"a\x00b"} }, "PATH": func(s *step) { s.service().Env = []string{"PATH=/x"} },
		} {
			s := c.served(t, Pass, listens("7000")...)
			if spoil(s); !s.refused(t) {
				t.Error(name)
			}
		}
	})
	if c.Isolated {
		boundServices(t, c)
	}
}

// boundServices is what keeps services from this machine.
func boundServices(t *testing.T, c Case) {
	t.Run("AServiceHasItsOwnMemoryLimit", func(t *testing.T) {
		t.Parallel()
		s := c.served(t, "echo the step begins\n", "sh", "-c", "exec tail /dev/zero")
		s.service().Limits.Memory = 32 << 20
		s.unready(t, "memory", "32 MiB")
	})
	t.Run("WhatAServiceWritesIsBound", func(t *testing.T) {
		t.Parallel()
		s := c.served(t, "echo the step begins\n", "sh", "-c", "head -c 64M /dev/zero >/x; exit 4")
		s.service().Limits.Disk = 16 << 20
		if c.Rootless {
			s.service().Command[2] = "for i in 1 2 3 4; do head -c 16M /dev/zero >/tmp/x$i || exit 4; done"
		}
		if c.Coarse {
			s.service().Command[2] = "i=0; while :; do head -c 1M /dev/zero >/x$i; i=$((i+1)); sleep 0.02; done"
			s.unready(t, "wrote more", "16 MiB")
			return
		}
		if s.unready(t, "exit code 4"); !strings.Contains(s.output.String(), "No space left") {
			t.Errorf("got %q", s.output.String())
		}
	})
	t.Run("AServiceCannotBreakOut", func(t *testing.T) {
		t.Parallel()
		abstract := "@conveyor-" + rest(t.TempDir())
		for user, may := range map[string][]string{"": {"become root", "join root's group"}, "1000": nil} {
			s := c.served(t, "true\n", "sh", "-c", "cd /tmp; cp "+program+" probe; "+program+" "+probeArg+" escape; touch /tmp/done; exec sleep 1000")
			s.service().User = user
			s.service().Env = append(s.service().Env, "SOCKET="+abstract)
			s.service().Ready = sandbox.Ready{Command: []string{"/bin/sh", "-c", "test -e /tmp/done"}}
			tried := 0
			for line := range strings.Lines(s.passes(t)) {
				name, came, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "db │ ")), ": ")
				if tried++; (!ok || came == "done") && !slices.Contains(may, name) {
					t.Errorf("as %q: %s", user, line)
				}
			}
			if tried != len(escapes(abstract)) {
				t.Errorf("%d of %d ways out were tried: %s", tried, len(escapes(abstract)), s.output.String())
			}
		}
	})
	t.Run("AServiceReachesNothingButItsStep", func(t *testing.T) {
		t.Parallel()
		s := c.served(t, hears("db", "7000"), "bash", "-c", "for to in 1.1.1.1/53 169.254.169.254/80; do if (exec 3<>/dev/tcp/$to) 2>/dev/null; then echo \"reached $to\"; fi; done; "+
			"while read -r name rest; do case $name in *:) echo \"$name\";; esac; done </proc/net/dev; exec "+program+" "+probeArg+" listen 7000")
		got := s.passes(t)
		for _, name := range c.Beside {
			got = strings.Replace(got, "db │ "+name+":\n", "", 1)
		}
		if !strings.HasPrefix(got, "db │ lo:\ndb │ listens") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("AReadyCommandIsShutInAsItsServiceIs", func(t *testing.T) {
		t.Parallel()
		s := c.served(t, "true\n", listens("7000")...)
		s.service().User = "70"
		s.service().Ready = sandbox.Ready{Timeout: 5 * time.Second, Command: []string{"/bin/bash", "-ec",
			"exec 3<>/dev/tcp/db/7000; grep : /proc/net/dev | grep -vcE '(" + strings.Join(append([]string{"lo"}, c.Beside...), "|") + "):' && exit 1; id -u | grep -x 70; pwd | grep -x /; grep 'CapBnd:.0000000000000000' /proc/self/status; " +
				"grep 'NoNewPrivs:.1' /proc/self/status; grep 'Seccomp:.2' /proc/self/status; ls /proc/self/fd | tail -1 | grep -x 4; echo $SANDBOXTEST | grep ."}}
		s.passes(t)
	})
	t.Run("NothingOfTheMachineIsThereForAService", func(t *testing.T) {
		t.Parallel()
		canary := filepath.Join(t.TempDir(), "canary")
		if err := os.WriteFile(canary, []byte("canary"), 0o666); err != nil {
			t.Fatal(err)
		}
		script := "for p in '" + strings.Join(append(slices.Clone(c.Hidden), canary, "/srv", "/dev/sda", "/dev/vda", "/dev/kmsg", "/etc/shadow"), "' '") + "'; do if [ -e \"$p\" ]; then echo SEEN $p; fi; done; "
		s := c.served(t, hears("db", "7000"), "sh", "-c", script+"exec "+program+" "+probeArg+" listen 7000")
		if got := s.passes(t); strings.Contains(got, "SEEN") {
			t.Errorf("got %q", got)
		}
	})
}
