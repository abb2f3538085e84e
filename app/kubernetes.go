package app

import (
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/conveyor-ci/conveyor/pipeline/image"
)

// Kubernetes says in which cluster steps run, and how.
type Kubernetes struct {
	Kubeconfig   string   // a file; empty is the account of the server's own pod, or the usual file
	Namespace    string   // of the pods of steps; "conveyor-steps" when empty
	PodImage     string   // this server's own image, as the cluster's nodes pull it: conveyor-pod is in it
	Image        string   // of steps that name none
	RuntimeClass string   // of the pods; empty is the cluster's usual one
	PullSecrets  []string // secrets of the namespace, with logins of registries
	Policies     string   // "tried": whether network policies are enforced is found out; "enforced": the operator says so
}

// clusterName is what namespaces, secrets and runtime classes are called.
var clusterName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)

// checkKubernetes is Config.Check of what is about the cluster.
func (c Config) checkKubernetes() (problems []string) {
	if c.Sandbox != "kubernetes" {
		return nil
	}
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	k := c.Kubernetes
	if k.PodImage == "" {
		say("CONVEYOR_KUBERNETES_POD_IMAGE is missing; give the image of this server as the cluster's nodes pull it, for its program conveyor-pod runs beside each step.")
	}
	if k.Image != "" {
		if ref, err := image.Parse(k.Image); err != nil || ref.Kind != image.Registry {
			say("CONVEYOR_KUBERNETES_IMAGE %q is no image of a registry; give a name and a tag, for example debian:12.", k.Image)
		}
	}
	if k.Kubeconfig != "" && !filepath.IsAbs(k.Kubeconfig) {
		say("CONVEYOR_KUBERNETES_KUBECONFIG %q is not an absolute path.", k.Kubeconfig)
	}
	if k.Policies != "" && k.Policies != "tried" && k.Policies != "enforced" {
		say("CONVEYOR_KUBERNETES_POLICIES %q is unknown; give tried or enforced.", k.Policies)
	}
	names := append([]string{k.Namespace, k.RuntimeClass}, k.PullSecrets...)
	for _, name := range names {
		if name != "" && !clusterName.MatchString(name) {
			say("%q is no name in a cluster; look at CONVEYOR_KUBERNETES_NAMESPACE, CONVEYOR_KUBERNETES_RUNTIME_CLASS and CONVEYOR_KUBERNETES_PULL_SECRETS.", name)
		}
	}
	if c.Images == "off" {
		say("CONVEYOR_IMAGES is off, and CONVEYOR_SANDBOX is kubernetes, in which every step needs an image; change one of them.")
	}
	return problems
}
