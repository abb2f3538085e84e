package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/conveyor-ci/conveyor/deploy/target"
	"github.com/conveyor-ci/conveyor/pipeline/secret"
	"github.com/conveyor-ci/conveyor/pipeline/secret/folder"
)

var (
	scriptForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	settingForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)
)

// exitFenced is what a script exits with when its place has seen a higher token (EX_TEMPFAIL of sysexits.h).
const exitFenced = 75

// drain is how long the output of a script that has ended is waited for, when something it left running holds it open.
const drain = 2 * time.Second

// script finds the script that the settings name. Every refusal says who has to change what.
func (t *Target) script(d target.Deployment) (string, error) {
	refuse := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("%w: %s", target.ErrRefused, fmt.Sprintf(format, args...))
	}
	if t.dir == "" {
		return refuse("this server has no scripts to deploy with; its operator can name their folder with CONVEYOR_EXEC_DIR")
	}
	name := d.Settings["script"]
	if name == "" {
		return refuse("the exec target of %s names no script; write `target: {exec: NAME}`", d.Environment)
	}
	if !scriptForm.MatchString(name) {
		return refuse("%q is not the bare name of a script; write letters, digits, `-`, `_` and `.`, and no path", name)
	}
	for key, value := range d.Settings {
		if !settingForm.MatchString(key) {
			return refuse("%q is not the name of a setting; write lower-case letters, digits and `_`", key)
		}
		if strings.ContainsRune(value, 0) {
			return refuse("the setting %q holds a zero byte", key)
		}
	}
	for _, text := range []string{d.ID, d.Environment, d.Repo.Slug()} {
		if strings.ContainsRune(text, 0) {
			return refuse("the deployment's name %q holds a zero byte", text)
		}
	}
	if st, err := os.Stat(t.dir); err != nil || !st.IsDir() || !ours(st) {
		return refuse("the operator's folder of scripts cannot be used: it must be there, belong to root or to this server's user, and be writable by nobody else (chmod go-w)")
	}
	path := filepath.Join(t.dir, name)
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refuse("the operator has installed no script %q", name)
	case err != nil:
		return "", fmt.Errorf("exec: find the script: %w", err)
	case !st.Mode().IsRegular():
		return refuse("the script %q is not a regular file", name)
	case st.Mode()&0o111 == 0:
		return refuse("the script %q is not executable; its operator can change that with chmod +x", name)
	case !ours(st):
		return refuse("the script %q must belong to root or to this server's user, and be writable by nobody else; its operator can change that with chown and chmod go-w", name)
	}
	return path, nil
}

// ours reports whether only root or we ourselves can change a file.
func ours(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && st.Mode()&0o022 == 0 && (sys.Uid == 0 || int(sys.Uid) == os.Geteuid())
}

// call is one run of a script.
type call struct {
	script, verb string
	d            target.Deployment
	dir          string    // of the files, for deploy only
	apart        bool      // what it prints is an answer, and only its errors are for the log
	started      func(int) // told of the process group; may be nil
}

// start runs a script to its end. Its whole process group is killed when ctx ends or its time is up.
func (t *Target) start(ctx context.Context, c call, to io.Writer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, t.timeout, fmt.Errorf("it took longer than %s", t.timeout))
	defer cancel()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	out, last := deaf{to}, &tail{}
	cmd := exec.CommandContext(ctx, c.script)
	cmd.Args = []string{c.script, c.verb}
	secrets := filepath.Join(t.scratch, secretsDir)
	cmd.Env = append(c.environ(), given(c.d.Secrets, secrets)...)
	cmd.Dir = "/"
	cmd.Stdout = io.MultiWriter(out, last)
	cmd.Stderr = cmd.Stdout
	if c.apart {
		cmd.Stderr = io.MultiWriter(deaf{c.d.Log}, last)
		cmd.Stdout = out
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
			return err
		}
		return os.ErrProcessDone
	}
	cmd.WaitDelay = drain
	err := folder.Start(cmd, secrets, c.d.Secrets)
	if err == nil {
		if c.started != nil {
			c.started(cmd.Process.Pid)
		}
		err = cmd.Wait()
	}
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return fmt.Errorf("exec: %s %s was killed: %w", filepath.Base(c.script), c.verb, cause)
	}
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended well; what it left running is the operator's wish
		return nil
	case errors.As(err, &exit) && exit.ExitCode() == exitFenced:
		return fmt.Errorf("%w: %s %s says so", target.ErrFenced, filepath.Base(c.script), c.verb)
	case errors.As(err, &exit):
		return fmt.Errorf("exec: %s %s failed (%s)%s", filepath.Base(c.script), c.verb, exit, last.quote())
	}
	return fmt.Errorf("exec: run %s %s: %w", filepath.Base(c.script), c.verb, err)
}

// secretsDir is a folder of the scratch folder that is always empty. Over it, each script has its secrets, in memory.
const secretsDir = "secrets"

// given is what the script learns of its secrets: where they are, and those that are variables.
func given(all []secret.Given, dir string) (env []string) {
	if len(all) > 0 {
		env = append(env, secret.Dir+"="+dir)
	}
	for _, g := range all {
		if g.Env {
			env = append(env, g.Name+"="+g.Value.Reveal())
		}
	}
	return env
}

// environ is everything else that the script learns.
func (c call) environ() []string {
	env := []string{
		"CONVEYOR_DEPLOYMENT=" + c.d.ID,
		"CONVEYOR_TOKEN=" + strconv.FormatInt(c.d.Token, 10),
		"CONVEYOR_REPOSITORY=" + c.d.Repo.Slug(),
		"CONVEYOR_ENVIRONMENT=" + c.d.Environment,
		"CONVEYOR_COMMIT=" + string(c.d.Commit),
		"CONVEYOR_DIGEST=" + string(c.d.Digest),
	}
	if c.dir != "" {
		env = append(env, "CONVEYOR_ARTIFACT_DIR="+c.dir)
	}
	for _, key := range slices.Sorted(maps.Keys(c.d.Settings)) {
		if key != "script" {
			env = append(env, "CONVEYOR_SETTING_"+strings.ToUpper(key)+"="+c.d.Settings[key])
		}
	}
	return env
}

// deaf writes as well as it can. A log that is full or broken must not break the pipe of a script in the middle of a
// deployment.
type deaf struct{ io.Writer }

func (d deaf) Write(p []byte) (int, error) {
	_, _ = d.Writer.Write(p)
	return len(p), nil
}

// tail keeps the end of what was written to it.
type tail struct{ b []byte }

const (
	tailBytes = 4 << 10
	tailLines = 10
)

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-tailBytes):]...)
	if len(t.b) > tailBytes {
		t.b = append(t.b[:0], t.b[len(t.b)-tailBytes:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.b) }

// quote is the last lines, for the end of an error.
func (t *tail) quote() string {
	text := strings.TrimSpace(strings.ToValidUTF8(t.String(), "�"))
	if text == "" {
		return ", and printed nothing"
	}
	lines := strings.Split(text, "\n")
	return ": " + strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
