package e2e

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/conveyor-ci/conveyor/test/images"
	"github.com/conveyor-ci/conveyor/test/kubernetes/pods"
)

func TestStepsRunInPodsOfACluster(t *testing.T) {
	t.Parallel()
	reg := images.Serve(t)
	cluster, err := pods.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	kubeconfig, err := cluster.Kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	push := func(name string, env []string, layers ...v1.Layer) (ref, digest string) {
		ref, digest = reg.Push(name, images.Image(t, env, layers...))
		at, _, _ := strings.Cut(name, ":")
		if err := cluster.Image(reg.Host+"/"+at+"@"+digest, env, layers...); err != nil {
			t.Fatal(err)
		}
		return ref, digest
	}
	tools := images.FromHost(t, images.Tools...)
	name, digest := push("octo/tools:20", []string{"OF=the image"}, tools, images.Layer(t, version(t, "the plan's")))
	usual, _ := push("octo/usual:1", nil, tools, images.Layer(t, version(t, "the operator's")))
	if err := cluster.Image("conveyor", nil, tools, pods.Program(t)); err != nil {
		t.Fatal(err)
	}
	h := open(t, func(h *house) {
		h.config.Sandbox = "kubernetes"
		h.config.Kubernetes.Kubeconfig, h.config.Kubernetes.PodImage = kubeconfig, "conveyor"
		trusting(reg)(h)
	})
	plan := imagePlan(name, `echo "saw $(cat /etc/which), $OF"; cat .github/conveyor.yml >/dev/null; echo made >made`)
	sha := h.push("main", "author", "in a pod", plan)
	for _, stage := range []string{"test", "build"} {
		run := h.concluded(sha, "conveyor / "+stage)
		if run.Conclusion != "success" {
			t.Fatalf("%s: %s\n%s", run.Conclusion, run.Title, run.Summary)
		}
		if log := h.below(run, "/log/unit-"+stage+"/1"); !strings.Contains(log, "saw the plan's, the image") || !strings.Contains(log, digest) {
			t.Errorf("the log of %s:\n%s", stage, log)
		}
	}

	none := map[string]string{".github/conveyor.yml": strings.ReplaceAll(plan[".github/conveyor.yml"], "        image: "+name+"\n", "")}
	run := h.concluded(h.push("main", "author", "in nothing", none), "conveyor / test")
	if run.Conclusion != "failure" || !strings.Contains(run.Summary+run.Text, "CONVEYOR_KUBERNETES_IMAGE") {
		t.Errorf("a step without an image: %s: %s\n%s", run.Conclusion, run.Title, run.Summary)
	}
	h.stop()
	h.config.Kubernetes.Image = usual
	h.start()
	run = h.concluded(h.push("main", "author", "in the usual one", none), "conveyor / build")
	if log := h.below(run, "/log/unit-build/1"); run.Conclusion != "success" || !strings.Contains(log, "saw the operator's") {
		t.Errorf("%s: %s\n%s", run.Conclusion, run.Title, log)
	}
	if left := cluster.Names(); len(left) > 0 {
		t.Errorf("pods are left: %q", left)
	}
}
