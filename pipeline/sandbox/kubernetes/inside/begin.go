package inside

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

// ours is how many processes and threads of this program may count against the user of the pod.
const ours = 48

// unfit is the code with which a process ends that could not become a service's program, or the usual shell.
const unfit = 254

// begin becomes the program that is to be run: it goes to its folder, lowers its own limits, shuts itself in with the
// filter of system calls, and is replaced.
func begin(args []string) error {
	flags := flag.NewFlagSet("begin", flag.ContinueOnError)
	disk := flags.Int64("disk", 0, "the most that one file may have")
	pids := flags.Int64("pids", 0, "the most processes and threads")
	dir := flags.String("dir", "/", "the working directory")
	script := flags.String("script", "", "the script that the shell runs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	runtime.LockOSThread() // the filter is this thread's, and this thread becomes the program
	command := flags.Args()
	usual := len(command) == 0 && *script != ""
	if usual {
		command = shell()
	}
	if len(command) == 0 {
		os.Exit(unfit)
	}
	if err := os.Chdir(*dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program, err := find(command[0])
	if err != nil {
		if usual {
			os.Exit(unfit)
		}
		if *script == "" {
			os.Exit(unfit)
		}
		fmt.Println(sandbox.NoShell + command[0])
		os.Exit(127)
	}
	if err := lower(*disk, *pids); err != nil {
		return fmt.Errorf("lower its limits: %w", err)
	}
	if *script != "" {
		command = append(command, *script)
	}
	if err := shutIn(); err != nil {
		return fmt.Errorf("shut it in: %w", err)
	}
	err = syscall.Exec(program, command, os.Environ())
	if usual || *script == "" {
		os.Exit(unfit)
	}
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Println(sandbox.NoShell + command[0])
	} else {
		fmt.Fprintf(os.Stderr, "%s cannot be started: %v\n", command[0], err)
	}
	os.Exit(127)
	return nil
}

func shell() []string {
	for _, bash := range []string{"/bin/bash", "/usr/bin/bash"} {
		if _, err := exec.LookPath(bash); err == nil {
			return []string{bash, "-e", "-o", "pipefail"}
		}
	}
	return []string{"/bin/sh", "-e"}
}

// find looks a program up on the PATH that it will have itself.
func find(name string) (string, error) {
	if strings.ContainsRune(name, '/') {
		_, err := os.Stat(name)
		return name, err
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil && filepath.IsAbs(path) {
			return path, nil
		}
	}
	return "", fs.ErrNotExist
}

// lower sets what a pod's description cannot: no core files, no file larger than the disk may take, no more processes of
// this user, which is the pod's own, and no more open files than usual.
func lower(disk, pids int64) error {
	set := func(what int, n uint64) error { return syscall.Setrlimit(what, &syscall.Rlimit{Cur: n, Max: n}) }
	if err := set(unix.RLIMIT_CORE, 0); err != nil {
		return err
	}
	if disk > 0 {
		if err := set(unix.RLIMIT_FSIZE, uint64(disk)); err != nil {
			return err
		}
	}
	var now syscall.Rlimit
	if err := syscall.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		return err
	}
	if err := set(unix.RLIMIT_NOFILE, min(now.Max, 65536)); err != nil { // old programs close every number up to it
		return err
	}
	if pids <= 0 {
		return nil
	}
	if err := syscall.Getrlimit(unix.RLIMIT_NPROC, &now); err != nil {
		return err
	}
	return set(unix.RLIMIT_NPROC, min(now.Max, uint64(pids)+ours))
}
