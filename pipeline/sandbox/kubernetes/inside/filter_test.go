package inside

import (
	"encoding/binary"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
)

// answers runs a filter as the kernel does.
func answers(t *testing.T, program []unix.SockFilter, machine uint32, number uint32, args ...uint64) uint32 {
	t.Helper()
	var data [64]byte
	binary.LittleEndian.PutUint32(data[atNumber:], number)
	binary.LittleEndian.PutUint32(data[atArch:], machine)
	for i, a := range args {
		binary.LittleEndian.PutUint64(data[atArgs+8*i:], a)
	}
	var a uint32
	for at := 0; ; at++ {
		switch i := program[at]; i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = binary.LittleEndian.Uint32(data[i.K:])
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= i.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			if a == i.K {
				at += int(i.Jt)
			} else {
				at += int(i.Jf)
			}
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		default:
			t.Fatalf("no such instruction: %+v", i)
		}
	}
}

func TestTheKernelsFilterIsTheBoxs(t *testing.T) {
	t.Parallel()
	filter := box.SystemCalls()
	program, err := compile(filter)
	if err != nil {
		t.Fatal(err)
	}
	here, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	machine := uint32(here.ID)
	number := func(name string) uint32 { return uint32(here.SyscallNames[name]) }
	eperm, enosys := uint32(unix.SECCOMP_RET_ERRNO|unix.EPERM), uint32(unix.SECCOMP_RET_ERRNO|unix.ENOSYS)
	for _, rule := range filter.Syscalls {
		if len(rule.Args) > 0 {
			continue
		}
		want := uint32(unix.SECCOMP_RET_ALLOW)
		if rule.Action != specs.ActAllow {
			want = eperm
		}
		for _, name := range rule.Names {
			if _, known := here.SyscallNames[name]; known && answers(t, program, machine, number(name)) != want {
				t.Errorf("%s is not answered as the box says", name)
			}
		}
	}
	for what, c := range map[string]struct {
		got, want uint32
	}{
		"a new kernel's call":                 {answers(t, program, machine, 999), enosys},
		"clone3":                              {answers(t, program, machine, number("clone3")), enosys},
		"a call of x32":                       {answers(t, program, machine, number("read")|0x40000000), enosys},
		"another word size":                   {answers(t, program, machine^1, number("read")), unix.SECCOMP_RET_KILL_PROCESS},
		"a thread":                            {answers(t, program, machine, number("clone"), unix.CLONE_VM|unix.CLONE_THREAD), unix.SECCOMP_RET_ALLOW},
		"a user namespace":                    {answers(t, program, machine, number("clone"), unix.CLONE_NEWUSER), enosys},
		"a socket":                            {answers(t, program, machine, number("socket"), unix.AF_INET6), unix.SECCOMP_RET_ALLOW},
		"a socket of a virtual machine":       {answers(t, program, machine, number("socket"), unix.AF_VSOCK), enosys},
		"a socket with more than 32 bits":     {answers(t, program, machine, number("socket"), unix.AF_INET|1<<32), enosys},
		"an ordinary request":                 {answers(t, program, machine, number("ioctl"), 0, unix.TCGETS), unix.SECCOMP_RET_ALLOW},
		"typing into a terminal":              {answers(t, program, machine, number("ioctl"), 0, unix.TIOCSTI), enosys},
		"typing with more than 32 bits":       {answers(t, program, machine, number("ioctl"), 0, unix.TIOCSTI|1<<32), enosys},
		"an ordinary request with 64 bits":    {answers(t, program, machine, number("ioctl"), 1<<40, unix.TCGETS|1<<33), unix.SECCOMP_RET_ALLOW},
		"what is asked after tests that fail": {answers(t, program, machine, number("setns")), eperm},
	} {
		if c.got != c.want {
			t.Errorf("%s: %#x, not %#x", what, c.got, c.want)
		}
	}
}

func TestWhatTheClusterAddsIsNotTheImages(t *testing.T) {
	t.Parallel()
	got := ofImage([]string{"PATH=/x", "HOSTNAME=conveyor", "KUBERNETES_SERVICE_HOST=10.0.0.1", "GOPATH=/go", "HOME=/root"})
	if len(got) != 2 || got[0] != "PATH=/x" || got[1] != "GOPATH=/go" {
		t.Errorf("got %q", got)
	}
}
