package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/docker"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/kubernetes"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/none"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/oci"
)

// openSandbox finds what shuts steps in: one sandbox for all, or a stronger one for the code of people who may not write.
func (a *App) openSandbox(ctx context.Context) (err error) {
	if a.config.Rehearsal {
		a.sandbox = none.New() // which is never asked
		return nil
	}
	if a.config.Sandbox == "none" {
		a.sandbox = none.New()
		a.log.Warn("steps run without a sandbox, because CONVEYOR_SANDBOX=none says so: only code of people with write access is run")
	} else if a.sandbox, err = a.findBox(ctx, a.config.Sandbox, "sandbox"); err != nil {
		return fmt.Errorf("app: no sandbox, so no step could run: %w; or choose CONVEYOR_SANDBOX=none, for trusted code only", err)
	}
	if a.config.SandboxOutside != "" {
		if a.outside, err = a.findBox(ctx, a.config.SandboxOutside, "sandbox-outside"); err != nil {
			return fmt.Errorf("app: no sandbox for code from outside: %w; or leave CONVEYOR_SANDBOX_OUTSIDE out, to run it as all other code", err)
		}
	}
	return nil
}

// findBox tries a sandbox, in a folder of its own, and says in the log what is in force.
func (a *App) findBox(ctx context.Context, kind, folder string) (sandbox.Sandbox, error) {
	c := a.config
	c.Sandbox = kind
	box, err := shutIn(ctx, c, filepath.Join(c.DataDir, folder), a.log)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, box.Close)
	in := box.Isolation()
	a.log.Info(folder+" found", "level", in.Level, "runtime", in.Runtime, "detail", in.Detail)
	return box, nil
}

// closable is a sandbox that holds something.
type closable interface {
	sandbox.Sandbox
	Close() error
}

// shutIn opens the sandbox that the settings name, with dir for its own.
func shutIn(ctx context.Context, c Config, dir string, log *slog.Logger) (closable, error) {
	if c.Sandbox == "docker" {
		return docker.Probe(ctx, docker.Options{Host: c.DockerHost, Dir: filepath.Join(dir, "docker"), Log: log})
	}
	if c.Sandbox == "kubernetes" {
		k := c.Kubernetes
		return kubernetes.Probe(ctx, kubernetes.Options{
			Kubeconfig: k.Kubeconfig, Namespace: k.Namespace, Image: k.PodImage, RuntimeClass: k.RuntimeClass, PullSecrets: k.PullSecrets,
			Enforced: k.Policies == "enforced", Dir: filepath.Join(dir, "kubernetes"), Log: log,
		})
	}
	runtime := c.Sandbox
	if runtime == "auto" {
		runtime = ""
	}
	o := oci.Options{Runtime: runtime, Dir: dir, Tools: c.Tools, Log: log}
	if os.Geteuid() != 0 {
		return oci.ProbeAlone(ctx, o)
	}
	return oci.Probe(ctx, o)
}

// Deputy is for the beginning of main: a server that is not root runs its own program once more, as the deputy that shuts
// steps in, and then this does not return.
func Deputy() { oci.DeputyMain() }

// boxFor is the sandbox for code that is trusted so far.
func (a *App) boxFor(trust pipeline.Trust) sandbox.Sandbox {
	if trust < pipeline.Writer && a.outside != nil {
		return a.outside
	}
	return a.sandbox
}
