package inside

import (
	"fmt"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf/arch"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
)

// Where the kernel puts what a filter looks at: the number of the call, the machine's architecture, the arguments.
const (
	atNumber = 0
	atArch   = 4
	atArgs   = 16
)

// shutIn puts the box's filter of system calls on this thread. A cluster's own filter, which lets more pass, is there, too:
// the stricter answer counts. The thread cannot gain rights any more, and has none.
func shutIn() error {
	program, err := compile(box.SystemCalls())
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	f := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&f)), 0, 0)
}

// compile writes a filter as the kernel reads it: rule by rule, and the first one that fits answers.
func compile(filter *specs.LinuxSeccomp) ([]unix.SockFilter, error) {
	here, err := arch.GetInfo("")
	if err != nil {
		return nil, err
	}
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	answer := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	equal := func(k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	otherwise, err := action(filter.DefaultAction, filter.DefaultErrnoRet)
	if err != nil {
		return nil, err
	}
	// Programs of another word size have other numbers for other calls; those of x32 come with a bit of their own.
	p := []unix.SockFilter{load(atArch), equal(uint32(here.ID), 1, 0), answer(unix.SECCOMP_RET_KILL_PROCESS), load(atNumber)}
	for _, rule := range filter.Syscalls {
		does, err := action(rule.Action, rule.ErrnoRet)
		if err != nil {
			return nil, err
		}
		for _, name := range rule.Names {
			number, known := here.SyscallNames[name]
			if !known {
				continue // of another architecture, or a newer kernel: the default answers
			}
			tests, err := compare(rule.Args, load, equal)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if len(tests) == 0 {
				p = append(p, equal(uint32(number), 0, 1), answer(does))
				continue
			}
			// On another number past the tests, the answer and the reload; on a test that fails past the answer.
			p = append(p, equal(uint32(number), 0, uint8(len(tests)+2)))
			for i, t := range tests {
				if t.Code&0x07 == unix.BPF_JMP {
					t.Jf = uint8(len(tests) - i)
				}
				p = append(p, t)
			}
			p = append(p, answer(does), load(atNumber))
		}
	}
	p = append(p, answer(otherwise))
	if len(p) > 4096 {
		return nil, fmt.Errorf("a filter has %d instructions, and the kernel takes 4096", len(p))
	}
	return p, nil
}

// compare tests arguments, 64 bits as two times 32. All have to fit.
func compare(args []specs.LinuxSeccompArg, load func(uint32) unix.SockFilter, equal func(uint32, uint8, uint8) unix.SockFilter) (p []unix.SockFilter, err error) {
	for _, a := range args {
		mask, want := ^uint64(0), a.Value
		switch a.Op {
		case specs.OpEqualTo:
		case specs.OpMaskedEqual:
			mask, want = a.Value, a.ValueTwo
		default:
			return nil, fmt.Errorf("%s is no comparison that is known here", a.Op)
		}
		at := uint32(atArgs + 8*a.Index)
		for i := range uint32(2) { // the low half first: both architectures are little-endian
			p = append(p, load(at+4*i),
				unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: uint32(mask >> (32 * i))},
				equal(uint32(want>>(32*i)), 0, 0))
		}
	}
	return p, nil
}

func action(a specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	switch {
	case a == specs.ActAllow:
		return unix.SECCOMP_RET_ALLOW, nil
	case a == specs.ActErrno && errno != nil:
		return unix.SECCOMP_RET_ERRNO | uint32(*errno)&0xffff, nil
	}
	return 0, fmt.Errorf("%s is no answer that is known here", a)
}
