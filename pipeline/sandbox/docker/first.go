package docker

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

// What a step finds in its box.
const (
	workDir    = "/workspace"
	homeDir    = "/home/build"
	scriptFile = "/step"
	secretsDir = "/run/secrets"
	hostName   = "conveyor"

	variablesFile = secretsDir + "/.variables" // a shell's text with the secrets that are variables
)

// Words of the first process, on a stream of its own.
const (
	stands = "stands" // the box stands
	ended  = "ended"  // the script has ended, and all has been said
)

// firstProcess is what the first process of the box does: say that the box stands; wait for a word of the server, which
// makes the way out ready meanwhile; run the script, and reap orphans; say what the box's limits have seen; end, and
// everything with it. The folder and the shell are arguments, and never part of these words.
//
// Its input is the server: when that is gone, the watch sees the end of it, and kills all. So no step outlives the server.
//
// The script's output and errors are one stream, the first process's own words the other, so that a shell's "Killed" is not
// taken for the step's; that is why there are brackets: some shells redirect themselves for a plain command.
//
// Secrets that are variables, too, are read from a file: so they are in no container's configuration, and in the
// environment of the script alone.
func firstProcess(spec sandbox.Spec, env []string) string {
	variables, set := "", ""
	if secret.Script(spec.Secrets) != "" {
		variables = ". " + variablesFile + "; "
	}
	for _, name := range []string{"HOSTNAME", "TERM", "container"} { // engines set them
		if !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") }) {
			set += "unset " + name + "; "
		}
	}
	shell := ""
	if len(spec.Shell) == 0 {
		shell = `if [ -x /bin/bash ]; then set -- "$1" /bin/bash -e -o pipefail; elif [ -x /usr/bin/bash ]; then set -- "$1" /usr/bin/bash -e -o pipefail; else set -- "$1" /bin/sh -e; fi; `
	}
	return "echo " + stands + ` >&2; ` + set + `read -r go || exit 1; exec 3<&0 </dev/null; ` +
		`(read -r gone <&3; kill -KILL -1) >/dev/null 2>&1 & exec 3<&-; ` + shell +
		`(cd "$1" 2>&1 || exit 1; shift; command -v "$1" >/dev/null 2>&1 || { echo "` + sandbox.NoShell + `$1"; exit 127; }; ` +
		variables + `exec "$@" ` + scriptFile + ` </dev/null 2>&1); code=$?; ` +
		`cd /sys/fs/cgroup 2>/dev/null && for f in memory.peak memory.events pids.events memory/memory.max_usage_in_bytes memory/memory.oom_control pids/pids.events; do ` +
		`if [ -r $f ]; then while read -r k n; do echo "$f $k $n" >&2; done <$f; fi; done; ` +
		"echo " + ended + " >&2; exit $code"
}

// words is what the first process has said.
type words struct {
	stood, ended bool
	used         sandbox.End // OOM, PIDs and Memory
	complaint    string
}

const maxSaid = 16 << 10 // bytes of it that are kept

// hear reads the first process's stream to its end. Whatever a step manages to say there is about its own end only.
func hear(r io.Reader, standing func()) (w words) {
	defer func() { _, _ = io.Copy(io.Discard, r) }()
	lines := bufio.NewScanner(io.LimitReader(r, maxSaid))
	for lines.Scan() {
		line := lines.Text()
		f := strings.Fields(line)
		switch {
		case line == stands && !w.stood:
			w.stood = true
			standing()
		case !w.stood:
			w.complaint += line + " "
		case line == ended:
			w.ended = true
		case len(f) == 2 && (f[0] == "memory.peak" || f[0] == "memory/memory.max_usage_in_bytes"):
			w.used.Memory = number(f[1])
		case len(f) == 3 && f[1] == "oom_kill" && strings.HasPrefix(f[0], "memory"):
			w.used.OOM = number(f[2]) > 0
		case len(f) == 3 && f[1] == "max" && strings.HasPrefix(f[0], "pids"):
			w.used.PIDs = number(f[2]) > 0
		}
	}
	return w
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}
