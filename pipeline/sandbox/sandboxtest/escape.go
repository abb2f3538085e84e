package sandboxtest

import (
	"net"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// escape is one way out, or to more rights, that has to be shut.
type escape struct {
	name string
	try  func() error // nil when it was possible
}

// call makes a system call of which the arguments matter less than the answer: a filter refuses it before it looks at them.
func call(number uintptr, args ...uintptr) func() error {
	var a [6]uintptr
	copy(a[:], args)
	return func() error {
		_, _, errno := unix.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
		return was(errno)
	}
}

// filtered is call for arguments that no kernel accepts: only the filter's own answers count as "not possible".
func filtered(number uintptr, args ...uintptr) func() error {
	try := call(number, args...)
	return func() error {
		if err := try(); err == unix.EPERM || err == unix.ENOSYS {
			return err
		}
		return nil
	}
}

func was(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

func write(path, text string) func() error {
	return func() error {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		_, err = f.WriteString(text)
		return err
	}
}

func open(path string) func() error {
	return func() error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		_, err = f.Read(make([]byte, 1)) // a masked file is there and empty
		return err
	}
}

func socket(family, kind, protocol int) func() error {
	return func() error {
		_, err := unix.Socket(family, kind, protocol)
		return err
	}
}

func inNewNamespace(flag uintptr) func() error {
	return func() error {
		cmd := exec.Command("/bin/true")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flag}
		return cmd.Run()
	}
}

func terminal(request uintptr) func() error {
	return func() error {
		own, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			return nil // a step without terminals of its own would be a fault as well
		}
		defer func() { _ = own.Close() }()
		if err := unix.IoctlSetPointerInt(int(own.Fd()), unix.TIOCSPTLCK, 0); err != nil {
			return nil
		}
		letter := byte('x')
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, own.Fd(), request, uintptr(unsafe.Pointer(&letter)))
		if errno == unix.EPERM || errno == unix.ENOSYS {
			return errno
		}
		return nil
	}
}

func escapes(abstractSocket string) []escape {
	return []escape{
		{"mount a filesystem", func() error { return unix.Mount("x", "/tmp", "tmpfs", 0, "") }},
		{"bind a folder", func() error { return unix.Mount("/workspace", "/tmp", "", unix.MS_BIND, "") }},
		{"make the root writable", func() error { return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, "") }},
		{"unmask /proc", func() error { return unix.Unmount("/proc/keys", unix.MNT_DETACH) }},
		{"open a filesystem", func() error { _, err := unix.Fsopen("tmpfs", 0); return err }},
		{"clone a mount", func() error { _, err := unix.OpenTree(unix.AT_FDCWD, "/usr", unix.OPEN_TREE_CLONE); return err }},
		{"change the root", func() error { return unix.Chroot("/tmp") }},
		{"swap the root", func() error { return unix.PivotRoot("/tmp", "/tmp") }},
		{"a user namespace", inNewNamespace(unix.CLONE_NEWUSER)},
		{"a user and a network namespace", inNewNamespace(unix.CLONE_NEWUSER | unix.CLONE_NEWNET)},
		{"unshare a user namespace", call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER)},
		{"unshare mounts", call(unix.SYS_UNSHARE, unix.CLONE_NEWNS)},
		{"clone3", filtered(unix.SYS_CLONE3, 0, 0)},
		{"join a namespace", func() error {
			f, err := os.Open("/proc/1/ns/user")
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			if err := unix.Setns(int(f.Fd()), 0); err == unix.EPERM || err == unix.ENOSYS {
				return err
			}
			return nil
		}},
		{"trace the first process", func() error { return unix.PtraceAttach(1) }},
		{"be traced", filtered(unix.SYS_PTRACE, unix.PTRACE_TRACEME)},
		{"read another's memory", filtered(unix.SYS_PROCESS_VM_READV, 1)},
		{"write another's memory", filtered(unix.SYS_PROCESS_VM_WRITEV, 1)},
		{"take another's file", filtered(unix.SYS_PIDFD_GETFD, ^uintptr(0))},
		{"read a keyring", func() error { _, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, true); return err }},
		{"add a key", func() error {
			_, err := unix.AddKey("user", "conveyor", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
			return err
		}},
		{"request a key", filtered(unix.SYS_REQUEST_KEY, 0)},
		{"load a program into the kernel", filtered(unix.SYS_BPF, 0, 0, 0)},
		{"count events", filtered(unix.SYS_PERF_EVENT_OPEN, 0)},
		{"handle page faults", filtered(unix.SYS_USERFAULTFD, 1)},
		{"a ring of calls", filtered(unix.SYS_IO_URING_SETUP, 1, 0)},
		{"load a module", filtered(unix.SYS_INIT_MODULE)},
		{"load a module from a file", filtered(unix.SYS_FINIT_MODULE, ^uintptr(0))},
		{"load a kernel", filtered(unix.SYS_KEXEC_LOAD)},
		{"restart the machine", filtered(unix.SYS_REBOOT)},
		{"read the kernel's log", filtered(unix.SYS_SYSLOG, 3)},
		{"open a file by its number", filtered(unix.SYS_OPEN_BY_HANDLE_AT, ^uintptr(0))},
		{"watch all files", filtered(unix.SYS_FANOTIFY_INIT, 0, 0)},
		{"set the clock", func() error { return unix.Settimeofday(&unix.Timeval{}) }},
		{"set the host name", func() error { return unix.Sethostname([]byte("x")) }},
		{"become root", func() error { return unix.Setresuid(0, 0, 0) }},
		{"join root's group", func() error { return unix.Setgroups([]int{0}) }},
		{"give a file away", func() error { return os.Chown("/workspace/probe", 0, 0) }},
		{"a disk", func() error { return unix.Mknod("/tmp/disk", unix.S_IFBLK|0o666, int(unix.Mkdev(254, 0))) }},
		{"a device", func() error { return unix.Mknod("/workspace/mem", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 1))) }},
		{"more files than allowed", func() error {
			return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 30, Max: 1 << 30})
		}},
		{"type into a terminal", terminal(unix.TIOCSTI)},
		{"type into a terminal past the filter", terminal(unix.TIOCSTI | 1<<32)},
		{"paste into a console", terminal(unix.TIOCLINUX)},
		{"a raw socket", socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)},
		{"a packet socket", socket(unix.AF_PACKET, unix.SOCK_RAW, 0)},
		{"the virtual machine's host", socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)},
		{"the kernel's ciphers", socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0)},
		{"an abstract socket of the machine", func() error { _, err := net.Dial("unix", abstractSocket); return err }},
		{"the program for core files", write("/proc/sys/kernel/core_pattern", "|/workspace/probe")},
		{"the program for modules", write("/proc/sys/kernel/modprobe", "/workspace/probe")},
		{"a system request", write("/proc/sysrq-trigger", "h")},
		{"its own memory limit", write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "-1")},
		{"its own memory limit (version 2)", write("/sys/fs/cgroup/memory.max", "max")},
		{"its group's end notice", write("/sys/fs/cgroup/memory/notify_on_release", "1")},
		{"its own ids", write("/proc/self/uid_map", "0 0 1")},
		{"its place in the out-of-memory order", write("/proc/self/oom_score_adj", "-1000")},
		{"the kernel's memory", open("/proc/kcore")},
		{"keys of others", open("/proc/keys")},
		{"timers of others", open("/proc/timer_list")},
		{"the kernel's messages", open("/proc/kmsg")},
		{"the first process's root", open("/proc/1/root/config.json")},
	}
}
