// Package kubernetes runs each step, with its services, as one pod of a cluster.
//
// The workspace goes into the pod and back over a command that the API server runs in it, so the server and the nodes share
// nothing: no disk, no network. A pod holds three kinds of containers, all of them as a user that no other pod has: the
// keeper, with this project's own program, that holds the line to the server; the step, in its image; and the services. No
// secret and no word of the plan is in the pod's description or in the cluster's logs: they go over that line, too.
//
// What a pod is made of is said in pod.go, how the server speaks with it in line.go, how its end is told apart in end.go,
// and what runs inside in the package inside. It never runs a step without an image, and never trusts what a pod sends.
// Start reading at Run in run.go.
package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/image"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
)

// Options say which cluster, and how steps run in it.
type Options struct {
	Kubeconfig   string         // a file; empty is the pod's own account, or else KUBECONFIG or the usual file
	Namespace    string         // where the pods of steps are, and nothing else; it exists
	Image        string         // the keeper's: one with conveyor-pod in it, as the project's own has
	RuntimeClass string         // of all pods; empty is the cluster's usual one
	PullSecrets  []string       // names of secrets of the namespace with logins of registries
	Enforced     bool           // the operator says that the cluster enforces network policies: it is not tried
	Patience     time.Duration  // how long a pod may take to stand: to be scheduled, and to have its images; ten minutes when 0
	Dir          string         // this server's, private to it
	Limits       sandbox.Limits // for specs that leave a limit open, and the most that there is; sensible ones when zero
	Log          *slog.Logger
}

// Sandbox runs steps in one namespace. Close it when no step runs any more.
type Sandbox struct {
	options   Options
	cluster   *cluster
	instance  *box.Instance
	folder    string // on each pod
	isolation sandbox.Isolation
	confirms  time.Duration // how long a node may take to say that a pod is gone
}

// How long the cluster may take for what is neither the step's own time nor the time until a pod stands.
const patience = 2 * time.Minute

// Probe speaks to the cluster, removes what killed servers have left in it, makes sure of the network policy, and runs a step
// in the full configuration. Its error is for the operator: what is wrong, and what to do.
func Probe(ctx context.Context, o Options) (_ *Sandbox, err error) {
	o.Namespace = cmp.Or(o.Namespace, "conveyor-steps")
	o.Patience = cmp.Or(o.Patience, 10*time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Image == "" {
		return nil, errors.New("sandbox/kubernetes: set CONVEYOR_KUBERNETES_POD_IMAGE to the image of this server, as the cluster's nodes pull it: its program conveyor-pod runs beside each step")
	}
	o.Limits = o.Limits.Or(sandbox.Limits{
		Wall: time.Hour, Memory: 4 << 30, PIDs: 4096, CPUs: 2, Tmp: 1 << 30, Disk: 20 << 30, Files: 2_000_000,
	})
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("sandbox/kubernetes: %w", err)
	}
	s := &Sandbox{options: o, confirms: patience / 2}
	if s.cluster, err = connect(o.Kubeconfig, o.Namespace); err != nil {
		return nil, fmt.Errorf("sandbox/kubernetes: %w", err)
	}
	if s.instance, err = box.Begin(o.Dir); err != nil {
		return nil, fmt.Errorf("sandbox/kubernetes: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.folder, err = folderName(o.Dir); err != nil {
		return nil, fmt.Errorf("sandbox/kubernetes: %w", err)
	}
	version, err := s.cluster.version(ctx)
	if err != nil {
		return nil, fmt.Errorf("sandbox/kubernetes: the API server does not answer: %w; look at KUBECONFIG, or run the server in the cluster with an account", err)
	}
	if err := s.endLeftovers(ctx); err != nil {
		return nil, err
	}
	if err := s.cluster.shut(ctx); err != nil {
		return nil, fmt.Errorf("sandbox/kubernetes: make the network policy that keeps steps off the network: %w", err)
	}
	held, err := s.try(ctx)
	if err != nil {
		return nil, fmt.Errorf("sandbox/kubernetes: no step can be shut in by Kubernetes %s: %w", version, err)
	}
	s.isolation = s.describe(version, held)
	return s, nil
}

// Isolation says what keeps steps apart from the cluster.
func (s *Sandbox) Isolation() sandbox.Isolation { return s.isolation }

// Limits are the most that a step may use, and what it may use when it asks for nothing.
func (s *Sandbox) Limits() sandbox.Limits { return s.options.Limits }

// Owner is the user of this machine to whom a workspace belongs: the server itself, which packs and unpacks it.
func (s *Sandbox) Owner() (uid, gid int) { return os.Geteuid(), os.Getegid() }

// Close gives the instance's name up. Steps that still run end by themselves, for nobody holds the line to them any more.
func (s *Sandbox) Close() error { return s.instance.End() }

// Serves says that services run beside steps here.
func (s *Sandbox) Serves() error { return nil }

// GivesRoot says that nobody is root here: root of a pod without users of its own is root of the node.
func (s *Sandbox) GivesRoot() error {
	return errors.New("no step is root of its pod with CONVEYOR_SANDBOX=kubernetes: choose crun or runc, or an image with what the step needs")
}

// HasImage says that it has none: images are the nodes', and which of them has one, nobody knows before the pod is there. So
// each is examined before.
func (s *Sandbox) HasImage(context.Context, string) (p image.Program, has bool, err error) {
	return p, false, nil
}

// PullImage leaves it to the node that the pod comes to.
func (s *Sandbox) PullImage(context.Context, string, image.Login, func(image.Progress)) error {
	return nil
}

func (s *Sandbox) describe(version string, n network) sandbox.Isolation {
	i := sandbox.Isolation{
		Limited: true,
		Level:   "ns", Runtime: "Kubernetes " + version + ", namespace " + s.options.Namespace,
		Detail: "Steps run in pods without an account, as a user that no other pod has, without a capability, with a system call filter, a read-only image, and no network but the way out that they are given; " +
			"they share a node's kernel, processor, memory bandwidth and disk with other pods.",
	}
	if s.options.RuntimeClass != "" {
		i.Runtime += ", runtime class " + s.options.RuntimeClass
	}
	if n == unheld {
		i.Level = "pod"
		i.Detail = "The cluster does not enforce network policies: steps reach whatever pods reach, so code from outside is not run. Install a network plugin that does, or state with CONVEYOR_KUBERNETES_POLICIES=enforced that something else keeps the pods of this namespace off the network. Otherwise: " + i.Detail
	}
	return i
}
