package app

import (
	"strings"
	"testing"
)

func TestWhatIsWrongWithAClusterIsSaidBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	good := Config{Sandbox: "kubernetes", Kubernetes: Kubernetes{PodImage: "registry.example.com/conveyor:1", Image: "debian:12", Namespace: "conveyor-steps", Policies: "tried"}}
	if wrong := good.checkKubernetes(); len(wrong) > 0 {
		t.Errorf("nothing is wrong with it: %q", wrong)
	}
	for words, spoil := range map[string]func(*Config){
		"CONVEYOR_KUBERNETES_POD_IMAGE is missing": func(c *Config) { c.Kubernetes.PodImage = "" },
		"CONVEYOR_KUBERNETES_IMAGE":                func(c *Config) { c.Kubernetes.Image = "tarball:/srv/x.tar" },
		"CONVEYOR_KUBERNETES_KUBECONFIG":           func(c *Config) { c.Kubernetes.Kubeconfig = "config" },
		"CONVEYOR_KUBERNETES_POLICIES":             func(c *Config) { c.Kubernetes.Policies = "yes" },
		"CONVEYOR_KUBERNETES_NAMESPACE":            func(c *Config) { c.Kubernetes.Namespace = "../kube-system" },
		"CONVEYOR_KUBERNETES_PULL_SECRETS":         func(c *Config) { c.Kubernetes.PullSecrets = []string{"A b"} },
		"CONVEYOR_KUBERNETES_RUNTIME_CLASS":        func(c *Config) { c.Kubernetes.RuntimeClass = "g/visor" },
		"CONVEYOR_IMAGES is off":                   func(c *Config) { c.Images = "off" },
	} {
		bad := good
		spoil(&bad)
		if wrong := bad.checkKubernetes(); len(wrong) != 1 || !strings.Contains(wrong[0], words) {
			t.Errorf("%s: %q", words, wrong)
		}
		if bad.Sandbox = "crun"; len(bad.checkKubernetes()) > 0 {
			t.Errorf("%s: it does not matter with another sandbox", words)
		}
	}
}
