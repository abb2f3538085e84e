package box

import (
	"runtime"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// SystemCalls is the filter on what a step may ask of the kernel: an allow list. What is on no list gets ENOSYS, as from
// an older kernel, so that libraries take their way without it (clone3, new calls of future kernels). What is dangerous
// and asked for on purpose gets EPERM. Programs of another word size (32-bit on a 64-bit kernel) are not run at all.
func SystemCalls() *specs.LinuxSeccomp {
	enosys, eperm := uint(unix.ENOSYS), uint(unix.EPERM)
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: &enosys}
	switch runtime.GOARCH {
	case "amd64":
		s.Architectures = []specs.Arch{specs.ArchX86_64}
	case "arm64":
		s.Architectures = []specs.Arch{specs.ArchAARCH64}
	}
	allow := func(args []specs.LinuxSeccompArg, names ...string) {
		s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{Names: names, Action: specs.ActAllow, Args: args})
	}
	allow(nil, allowed...)
	s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{Names: refused, Action: specs.ActErrno, ErrnoRet: &eperm})

	// New processes and threads, but no new namespaces.
	const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET
	allow([]specs.LinuxSeccompArg{{Index: 0, Value: namespaces, ValueTwo: 0, Op: specs.OpMaskedEqual}}, "clone")

	// Only the families that a network namespace holds back: AF_VSOCK reaches the host of a virtual machine past it.
	for _, family := range []uint64{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK} {
		allow([]specs.LinuxSeccompArg{{Index: 0, Value: family, Op: specs.OpEqualTo}}, "socket")
	}
	allow([]specs.LinuxSeccompArg{{Index: 0, Value: unix.AF_UNIX, Op: specs.OpEqualTo}}, "socketpair")

	// The personalities of plain Linux programs; others switch protections off.
	for _, persona := range []uint64{0, 0x8, 0x20000, 0x20008, 0xffffffff} {
		allow([]specs.LinuxSeccompArg{{Index: 0, Value: persona, Op: specs.OpEqualTo}}, "personality")
	}
	for _, arg := range otherThan([2]uint64{unix.TIOCSTI, unix.TIOCLINUX}) {
		allow([]specs.LinuxSeccompArg{arg}, "ioctl")
	}
	return s
}

// otherThan are conditions of which one holds exactly when the low 32 bits of argument 1 are neither of two numbers that
// differ in their last four bits only. "Not equal" would compare 64 bits of which the kernel looks at 32: setting one of
// the others went around such filters (CVE-2019-10063).
func otherThan(two [2]uint64) []specs.LinuxSeccompArg {
	var all []specs.LinuxSeccompArg
	for bit := uint64(0x10); bit <= 1<<31; bit <<= 1 {
		all = append(all, specs.LinuxSeccompArg{Index: 1, Value: bit, ValueTwo: ^two[0] & bit, Op: specs.OpMaskedEqual})
	}
	for n := uint64(0); n < 16; n++ {
		if number := two[0]&0xfffffff0 | n; number != two[0] && number != two[1] {
			all = append(all, specs.LinuxSeccompArg{Index: 1, Value: 0xffffffff, ValueTwo: number, Op: specs.OpMaskedEqual})
		}
	}
	return all
}
