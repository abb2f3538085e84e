package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// program is the git program and the clean room it runs in.
type program struct {
	path    string
	version string
	home    string
	network []string // the operator's proxy and certificate settings, for fetches only
}

// findProgram looks git up once. 2.36 is the oldest that knows every option used here with today's security fixes' meaning.
func findProgram(home string) (program, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return program{}, fmt.Errorf("source: git is not installed on this machine; install it (Debian: apt-get install git): %w", err)
	}
	g := program{path: path, home: home}
	cmd := exec.Command(path, "version")
	cmd.Env = []string{"PATH=" + searchPath, "LC_ALL=C"}
	out, err := cmd.Output()
	if err != nil {
		return program{}, fmt.Errorf("source: ask git for its version: %w", err)
	}
	g.version = strings.TrimSpace(strings.TrimPrefix(string(out), "git version "))
	major, rest, _ := strings.Cut(g.version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, _ := strconv.Atoi(major)
	b, _ := strconv.Atoi(minor)
	if a < 2 || a == 2 && b < 36 {
		return program{}, fmt.Errorf("source: git %s is too old, at least 2.36 is needed; please update it", g.version)
	}
	for _, name := range []string{"https_proxy", "HTTPS_PROXY", "http_proxy", "no_proxy", "NO_PROXY", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if v, ok := os.LookupEnv(name); ok {
			g.network = append(g.network, name+"="+v)
		}
	}
	return g, nil
}

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// settings override whatever a configuration file says. Nothing in them is secret.
var settings = [][2]string{
	{"safe.directory", "*"}, // the folder is ours alone; its owner may differ after a change of the server's user
	{"core.hooksPath", "/dev/null"},
	{"core.fsmonitor", "false"},
	{"core.askPass", ""},
	{"core.attributesFile", "/dev/null"},
	{"core.excludesFile", "/dev/null"},
	{"core.autocrlf", "false"},
	{"core.symlinks", "true"},
	{"core.fileMode", "true"},
	{"core.protectHFS", "true"},
	{"core.protectNTFS", "true"},
	{"core.checkStat", "minimal"}, // an overlay shows other inode numbers than the folder below it
	{"core.trustctime", "false"},
	{"core.commitGraph", "false"},
	{"credential.helper", ""},
	{"protocol.version", "2"},
	{"transfer.fsckObjects", "true"},
	{"transfer.credentialsInUrl", "die"},
	{"transfer.bundleURI", "false"},
	{"fetch.recurseSubmodules", "false"},
	{"fetch.writeCommitGraph", "false"},
	{"fetch.uriProtocols", ""},
	{"fetch.unpackLimit", "1"}, // packs are synced to disk, loose objects are not
	{"submodule.recurse", "false"},
	{"http.followRedirects", "false"}, // a token never follows to another place
	{"http.lowSpeedLimit", "1"},       // a working server says at least one byte a second
	{"http.lowSpeedTime", "60"},
	{"gc.auto", "0"},
	{"gc.autoDetach", "false"},
	{"maintenance.auto", "false"},
	{"filter.lfs.smudge", ""}, {"filter.lfs.clean", ""}, {"filter.lfs.process", ""}, {"filter.lfs.required", "false"},
	{"checkout.workers", "4"},
	{"advice.detachedHead", "false"},
	// Old slips of other programs that do no harm, in commits which GitHub itself accepted. What remains of fsck refuses
	// names like ".git", "..", and hostile .gitmodules.
	{"fetch.fsck.zeroPaddedFilemode", "ignore"}, {"fetch.fsck.badTimezone", "ignore"}, {"fetch.fsck.badDate", "ignore"},
	{"fetch.fsck.badDateOverflow", "ignore"}, {"fetch.fsck.missingSpaceBeforeDate", "ignore"}, {"fetch.fsck.zeroPaddedDate", "ignore"},
	{"fetch.fsck.missingEmail", "ignore"}, {"fetch.fsck.badEmail", "ignore"}, {"fetch.fsck.missingNameBeforeEmail", "ignore"},
	{"fetch.fsck.missingSpaceBeforeEmail", "ignore"}, {"fetch.fsck.badName", "ignore"}, {"fetch.fsck.multipleAuthors", "ignore"},
}

// call is one run of git.
type call struct {
	dir     string      // the bare repository
	args    []string    // the command and its arguments; everything from outside was checked and stands behind --end-of-options
	config  [][2]string // more settings; may hold a secret, and is therefore never printed
	env     []string
	stdin   []byte
	fed     bool  // its input is written while it runs
	limit   int64 // most bytes of output; more is an error. 0 means 64 KiB
	network bool
}

var errTooMuch = errors.New("more output than expected")

// failure is a git that ended badly. Its text is raw and must pass through tame before anybody sees it.
type failure struct {
	what   string
	code   int
	stderr string
}

func (f *failure) Error() string { return fmt.Sprintf("git %s: %s", f.what, tame(f.stderr)) }

// run runs git to its end and returns what it wrote. The end of ctx ends git and everything it started.
func (g program) run(ctx context.Context, c call) ([]byte, error) {
	p, err := g.start(ctx, c)
	if err != nil {
		return nil, err
	}
	return p.wait()
}

// process is a git that was started.
type process struct {
	ctx       context.Context
	what      string
	cmd       *exec.Cmd
	in        io.WriteCloser // its input, where the call is fed; wait closes it
	out       *bounded
	complaint *tail
}

// start starts git. Who starts it waits for it.
func (g program) start(ctx context.Context, c call) (*process, error) {
	if c.limit == 0 {
		c.limit = 64 << 10
	}
	p := &process{ctx: ctx, what: c.args[0], out: &bounded{limit: c.limit}, complaint: &tail{limit: 8 << 10}}
	p.cmd = exec.CommandContext(ctx, g.path, c.args...)
	p.cmd.Dir = g.home
	p.cmd.Env = g.environment(c)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.complaint
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Asked politely, git removes its lock files; the grace is for one that does not listen.
	p.cmd.Cancel = func() error { return syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM) }
	p.cmd.WaitDelay = 2 * time.Second
	var err error
	if c.fed {
		// It ends with its input, and so with this server. The kernel's own signal would come too early: it is sent when
		// the thread ends that started git, and threads of this server do.
		p.in, err = p.cmd.StdinPipe()
	} else {
		p.cmd.Stdin = bytes.NewReader(c.stdin)
		p.cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("git %s: %w", p.what, err)
	}
	return p, nil
}

// wait waits for git's end and returns what it wrote.
func (p *process) wait() ([]byte, error) {
	if p.in != nil {
		_ = p.in.Close() // a git that has ended already says below why
	}
	err := p.cmd.Wait()
	if err != nil {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // what outlived git, for example its HTTP helper
	}
	switch {
	case err == nil:
		return p.out.bytes, nil
	case p.ctx.Err() != nil:
		return nil, fmt.Errorf("git %s: %w", p.what, context.Cause(p.ctx))
	case p.out.full:
		return nil, fmt.Errorf("git %s: %w", p.what, errTooMuch)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, &failure{what: p.what, code: exit.ExitCode(), stderr: string(p.complaint.bytes)}
	}
	return nil, fmt.Errorf("git %s: %w", p.what, err)
}

// environment is all that git sees of the world.
func (g program) environment(c call) []string {
	env := []string{
		"PATH=" + searchPath, "HOME=" + g.home, "LC_ALL=C", "TZ=UTC",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_LITERAL_PATHSPECS=1", "GIT_NO_REPLACE_OBJECTS=1",
		"GIT_NO_LAZY_FETCH=1", "GIT_PAGER=cat", "GIT_EDITOR=false",
	}
	if c.dir != "" {
		env = append(env, "GIT_DIR="+c.dir)
	}
	if c.network {
		env = append(env, g.network...)
	} else {
		env = append(env, "GIT_ALLOW_PROTOCOL=") // refuses every protocol
	}
	env = append(env, c.env...)
	all := append(append([][2]string{}, settings...), c.config...)
	env = append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(all)))
	for i, kv := range all {
		n := strconv.Itoa(i)
		env = append(env, "GIT_CONFIG_KEY_"+n+"="+kv[0], "GIT_CONFIG_VALUE_"+n+"="+kv[1])
	}
	return env
}

// bounded keeps what is written, up to a limit; beyond it the writer is cut off.
type bounded struct {
	bytes []byte
	limit int64
	full  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if int64(len(b.bytes)+len(p)) > b.limit {
		b.full = true
		return 0, errTooMuch
	}
	b.bytes = append(b.bytes, p...)
	return len(p), nil
}

// tail keeps the last bytes of what is written: git says last what ended it.
type tail struct {
	bytes []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.bytes = append(t.bytes, p...)
	if over := len(t.bytes) - t.limit; over > 0 {
		t.bytes = append(t.bytes[:0], t.bytes[over:]...)
	}
	return len(p), nil
}
