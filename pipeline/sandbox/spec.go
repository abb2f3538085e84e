package sandbox

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

var (
	idForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,199}$`)
	nameForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Check says what is wrong with a spec before anything is run. Every adapter asks it first.
func (s Spec) Check() error {
	switch {
	case !idForm.MatchString(s.ID):
		return fmt.Errorf("sandbox: the id %q is not of letters, digits and dashes", s.ID)
	case s.Workspace == "" || s.Workspace[0] != '/':
		return fmt.Errorf("sandbox: the workspace %q is no absolute path", s.Workspace)
	case s.Writes != "" && s.Writes[0] != '/':
		return fmt.Errorf("sandbox: the folder of what is written, %q, is no absolute path", s.Writes)
	case strings.ContainsRune(s.Script, 0):
		return fmt.Errorf("sandbox: the script holds a NUL byte, which no shell can read")
	case s.Superuser && s.Root == nil:
		return fmt.Errorf("sandbox: it is to be root, and has no image to be root of")
	case s.Output == nil:
		return fmt.Errorf("sandbox: nothing takes the output")
	}
	if err := errors.Join(s.checkGiven(), s.Root.check(), s.checkServices()); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	for _, word := range append([]string{s.Dir}, s.Shell...) {
		if strings.ContainsRune(word, 0) {
			return fmt.Errorf("sandbox: the working directory or the shell holds a NUL byte")
		}
	}
	if len(s.Shell) > 0 && s.Shell[0] == "" {
		return fmt.Errorf("sandbox: the shell has no name")
	}
	if s.Dir != "" && !filepath.IsLocal(s.Dir) {
		return fmt.Errorf("sandbox: the working directory %q is not below the workspace", s.Dir)
	}
	for _, e := range s.Paths {
		if _, below, ok := strings.Cut(e, "="); !ok || !filepath.IsLocal(below) {
			return fmt.Errorf("sandbox: %q is no path below the workspace", e)
		}
	}
	if err := checkVariables(slices.Concat(s.Env, s.Paths)); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}

func checkVariables(env []string) error {
	for _, e := range env {
		name, _, ok := strings.Cut(e, "=")
		switch {
		case !ok || !nameForm.MatchString(name):
			return fmt.Errorf("%q is no name of an environment variable", name)
		case Reserved(name):
			return fmt.Errorf("the environment variable %s is set by the sandbox and cannot be given", name)
		case strings.ContainsRune(e, 0):
			return fmt.Errorf("the environment variable %s holds a NUL byte", name)
		}
	}
	return nil
}

// ProxyAddress is where a step with a way out finds it, on its own loopback.
const ProxyAddress = "127.0.0.1:3128"

// checkGiven looks at what the step is given beside its workspace.
func (s Spec) checkGiven() error {
	if err := secret.Check(s.Secrets); err != nil {
		return err
	}
	for i, f := range s.Folders {
		below := strings.TrimPrefix(f.Target, "~/")
		if !path.IsAbs(f.Source) || below == "" || below == "." || below == "~" || path.IsAbs(below) || path.Clean("/"+below) != "/"+below || strings.ContainsRune(f.Target+f.Source, 0) {
			return fmt.Errorf("the folder %q cannot be shown as %q", f.Source, f.Target)
		}
		for _, other := range s.Folders[:i] {
			if strings.HasPrefix(f.Target+"/", other.Target+"/") || strings.HasPrefix(other.Target+"/", f.Target+"/") {
				return fmt.Errorf("the folders %q and %q lie one in the other", other.Target, f.Target)
			}
		}
	}
	return nil
}

// Reserved reports whether a step may not set this environment variable: where programs and libraries come from is the
// sandbox's business.
func Reserved(name string) bool { return name == "PATH" || strings.HasPrefix(name, "LD_") }

// SecretsDir is the variable that names the folder of a step's secrets: CONVEYOR_SECRETS_DIR.
const SecretsDir = secret.Dir

// Environ is what a step's shell gets: what the sandbox sets, then the image, then what the spec says. Nothing of the
// server's own environment is in it, and no secret. work is the workspace as the step sees it, secrets the folder of its secrets.
func (s Spec) Environ(path, home, tmp, work, secrets string) []string {
	set := []string{"PATH=" + path, "HOME=" + home, "TMPDIR=" + tmp, "LANG=C.UTF-8", "CI=true"}
	if s.Out != nil {
		set = append(set, proxies(s.Services)...)
	}
	if secrets != "" && len(s.Secrets) > 0 {
		set = append(set, SecretsDir+"="+secrets)
	}
	set = s.Root.environ(set)
	set = append(set, s.Env...)
	for _, e := range s.Paths {
		name, below, _ := strings.Cut(e, "=")
		set = append(set, name+"="+filepath.Join(work, below))
	}
	return lastOf(set)
}

// proxies are the variables by which programs find the way out. What is in the box itself is not asked of it.
func proxies(services []Service) (set []string) {
	for _, name := range []string{"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"} {
		set = append(set, name+"=http://"+ProxyAddress)
	}
	near := "localhost,127.0.0.1,::1"
	for _, v := range services {
		near += "," + v.Name
	}
	return append(set, "no_proxy="+near, "NO_PROXY="+near)
}

// lastOf are variables of which each stands once: the last one counts, as with a shell.
func lastOf(set []string) []string {
	env := make([]string, 0, len(set))
	at := make(map[string]int, cap(env))
	for _, e := range set {
		name, _, _ := strings.Cut(e, "=")
		if i, twice := at[name]; twice {
			env[i] = e
			continue
		}
		at[name] = len(env)
		env = append(env, e)
	}
	return env
}

// Within lowers what l asks for to what most allows.
func (l Limits) Within(most Limits) Limits {
	if most.Memory > 0 {
		l.Memory = min(l.Memory, most.Memory)
	}
	if most.PIDs > 0 {
		l.PIDs = min(l.PIDs, most.PIDs)
	}
	if most.CPUs > 0 {
		l.CPUs = min(l.CPUs, most.CPUs)
	}
	return l
}

// NoShell is what a step's log says when there is nothing that could run its script.
const NoShell = "This step's shell is not installed where steps run: "

// Or fills in what l leaves open.
func (l Limits) Or(defaults Limits) Limits {
	if l.Wall <= 0 {
		l.Wall = defaults.Wall
	}
	if l.Memory <= 0 {
		l.Memory = defaults.Memory
	}
	if l.PIDs <= 0 {
		l.PIDs = defaults.PIDs
	}
	if l.CPUs <= 0 {
		l.CPUs = defaults.CPUs
	}
	if l.Tmp <= 0 {
		l.Tmp = defaults.Tmp
	}
	if l.Disk <= 0 {
		l.Disk = defaults.Disk
	}
	if l.Files <= 0 {
		l.Files = defaults.Files
	}
	return l
}
