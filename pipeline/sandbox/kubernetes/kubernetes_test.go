package kubernetes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/sandboxtest"
	"github.com/conveyor-ci/conveyor/test/images"
	"github.com/conveyor-ci/conveyor/test/kubernetes/pods"
)

// real names the kubeconfig of a real cluster on this machine, whose nodes pull from registries on the loopback: see
// test/kubernetes/run.sh. Without it the tests run against a stand-in.
const real = "CONVEYOR_TEST_KUBECONFIG"

func TestMain(m *testing.M) {
	if len(os.Args) == 6 && os.Args[1] == serverArg {
		serve(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	}
	if len(os.Args) > 2 && !strings.HasPrefix(os.Args[1], "-test.") { // in a pod
		sandboxtest.Main(m)
	}
	if os.Getenv(real) == "" {
		fmt.Fprintln(os.Stderr, "NO REAL CLUSTER: these tests run against a stand-in for Kubernetes, which runs real containers. `make test-kubernetes` runs them against a real one.")
	}
	os.Exit(m.Run())
}

// place is a cluster for a test.
type place struct {
	options Options
	image   func(t testing.TB, name string, env []string, layers ...v1.Layer) string
	pods    *pods.Cluster // the stand-in, if it is one
	beside  []string      // network interfaces of pods
}

// newPlace makes one ready: a stand-in of the test's own, or a namespace of the real one.
func newPlace(t testing.TB) *place {
	t.Helper()
	p := &place{options: Options{Dir: t.TempDir(), Enforced: true, Patience: 2 * time.Minute}}
	if file := os.Getenv(real); file != "" {
		p.options.Kubeconfig = file
		reg := images.Serve(t)
		p.options.Namespace, p.beside = "conveyor-steps", []string{"eth0"}
		p.image = func(t testing.TB, name string, env []string, layers ...v1.Layer) string {
			ref, digest := reg.Push(name+":1", images.Image(t, env, layers...))
			return strings.TrimSuffix(ref, ":1") + "@" + digest
		}
		p.options.Image = p.image(t, "conveyor", nil, append(tools(t), pods.Program(t))...)
		return p
	}
	return standIn(t)
}

// standIn is a stand-in of a test's own, where what happens to pods is the test's doing.
func standIn(t testing.TB) *place {
	t.Helper()
	c, err := pods.Start()
	if err != nil {
		t.Fatalf("%v (these tests need root)", err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	p := &place{options: Options{Dir: t.TempDir(), Enforced: true, Patience: 2 * time.Minute}, pods: c}
	if p.options.Kubeconfig, err = c.Kubeconfig(); err != nil {
		t.Fatal(err)
	}
	p.image = func(t testing.TB, name string, env []string, layers ...v1.Layer) string {
		t.Helper()
		if err := c.Image(name, env, layers...); err != nil {
			t.Fatal(err)
		}
		return name
	}
	p.options.Image = p.image(t, "conveyor", nil, append(tools(t), pods.Program(t))...)
	return p
}

// probe opens a sandbox that is closed at the end of the test, after all that ran in it.
func (p *place) probe(t testing.TB) *Sandbox {
	t.Helper()
	s, err := Probe(t.Context(), p.options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left := s.left(""); len(left) > 0 {
			t.Errorf("left at the end: %q", left)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// left is what there is of a run, or of all runs when id is empty.
func (s *Sandbox) left(id string) (found []string) {
	all, err := s.cluster.list(context.Background(), labelInstance+"="+s.instance.Name)
	if err != nil {
		return []string{err.Error()}
	}
	for _, p := range all {
		if id == "" || p.Annotations[noteStep] == id {
			found = append(found, "pod "+p.Annotations[noteStep])
		}
	}
	return found
}

func tools(t testing.TB) []v1.Layer {
	return []v1.Layer{images.FromHost(t, images.Tools...), images.Layer(t, images.Entry{Name: "home/"}, images.Entry{Name: "run/"})}
}

// inAnImage runs each step in an image.
type inAnImage struct {
	*Sandbox
	root *sandbox.Root
}

func (i inAnImage) Run(ctx context.Context, spec sandbox.Spec) (sandbox.Verdict, error) {
	spec.Root = i.root
	return i.Sandbox.Run(ctx, spec)
}

func TestKubernetesKeepsTheContract(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.probe(t)
	root := &sandbox.Root{Name: "tools", Ref: p.image(t, "tools", nil, tools(t)...)}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	served := &sandbox.Root{Name: "served", Ref: p.image(t, "served", nil, images.FromHost(t, append([]string{self}, images.Tools...)...),
		images.Layer(t, images.Entry{Name: "bin/probe", To: filepath.Base(self)}, images.Entry{Name: "tmp/"}))}
	sandboxtest.Run(t, sandboxtest.Case{
		Sandbox: inAnImage{s, root}, Commands: true, Isolated: true, Remote: true, User: sandboxtest.OwnUser,
		Workspace: func(t testing.TB) string { return t.TempDir() },
		Hidden:    []string{s.options.Dir, "/usr/share", "/usr/lib/os-release"},
		Shown:     []string{"/sys/kernel"},
		Beside:    p.beside,
		Image:     func(testing.TB) *sandbox.Root { return served }, Rootless: true,
		Left: s.left,
	})
}
