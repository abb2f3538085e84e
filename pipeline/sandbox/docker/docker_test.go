package docker

import (
	"archive/tar"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/moby/client"

	"github.com/conveyor-ci/conveyor/pipeline/image"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/sandboxtest"
	"github.com/conveyor-ci/conveyor/test/dockerd"
	"github.com/conveyor-ci/conveyor/test/images"
)

// engine is the one Docker engine of this package's tests.
var engine *dockerd.Engine

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 5 && os.Args[1] == serverArg:
		serve(os.Args[2], os.Args[3], os.Args[4])
	case len(os.Args) > 2 && !strings.HasPrefix(os.Args[1], "-"): // in a box
		sandboxtest.Main(m)
	default:
		os.Exit(withEngine(m))
	}
}

// withEngine runs more tests at once than there are processors, for most of a test is waiting for the engine.
func withEngine(m *testing.M) int {
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p.Value.String() == p.DefValue {
		if err := p.Value.Set("8"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
	}
	var err error
	if engine, err = dockerd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := engine.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// probe opens a sandbox that is closed at the end of the test, after all that ran in it.
func probe(t testing.TB, o Options) *Sandbox {
	t.Helper()
	if o.Host == "" {
		o.Host = engine.Host()
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := Probe(t.Context(), o)
	if err != nil {
		t.Fatalf("%v (these tests need root)", err)
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

func workspace(t testing.TB, s *Sandbox) string {
	t.Helper()
	dir := t.TempDir()
	uid, gid := s.Owner()
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return dir
}

// left is what there is of a run, or of all runs when id is empty.
func (s *Sandbox) left(id string) (found []string) {
	list, err := s.engine.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", labelInstance+"="+s.instance.Name)})
	if err != nil {
		found = append(found, err.Error())
	}
	for _, c := range list.Items {
		if id == "" || c.Labels[labelStep] == id {
			found = append(found, "container "+c.Labels[labelStep])
		}
	}
	rooms, _ := os.ReadDir(s.instance.Path)
	for _, r := range rooms {
		if id == "" || r.Name() == id {
			found = append(found, "folder "+r.Name())
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, filepath.Join(s.instance.Path, id)) {
			found = append(found, "mount "+line)
		}
	}
	return found
}

// rootOf has the engine pull an image, as the product does.
func rootOf(t testing.TB, s *Sandbox, env []string, layers ...v1.Layer) *sandbox.Root {
	t.Helper()
	reg := images.Serve(t)
	name, digest := reg.Push("tiny:1", images.Image(t, env, layers...))
	ref := strings.TrimSuffix(name, ":1") + "@" + digest
	if err := s.PullImage(t.Context(), ref, image.Login{}, nil); err != nil {
		t.Fatal(err)
	}
	return &sandbox.Root{Name: "tiny:1", Ref: ref}
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

func tools(t testing.TB) []v1.Layer {
	return []v1.Layer{images.FromHost(t, images.Tools...), images.Layer(t, images.Entry{Name: "home/"}, images.Entry{Name: "run/"})}
}

func TestDockerKeepsTheContract(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	served := rootOf(t, s, nil, images.FromHost(t, append([]string{self}, images.Tools...)...), images.Layer(t,
		images.Entry{Name: "bin/probe", To: filepath.Base(self)}, images.Entry{Name: "tmp/", Header: func(h *tar.Header) { h.Mode = 0o1777 }}))
	sandboxtest.Run(t, sandboxtest.Case{
		Sandbox: inAnImage{s, rootOf(t, s, nil, tools(t)...)}, Commands: true, Isolated: true, User: s.user,
		Workspace: func(t testing.TB) string { return workspace(t, s) },
		Image:     func(testing.TB) *sandbox.Root { return served },
		Coarse:    true,
		Hidden:    []string{s.options.Dir, "/usr/share", "/usr/lib/os-release"},
		Shown:     []string{"/.dockerenv", "/sys/kernel"}, // the one says that this is a container, the other is empty
		Left:      s.left,
	})
}

// containers are those of all servers of a folder.
func containers(t testing.TB, s *Sandbox, dir string) (names []string) {
	t.Helper()
	list, err := s.engine.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", labelDir+"="+dir)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list.Items {
		names = append(names, c.Labels[labelStep])
	}
	return names
}
