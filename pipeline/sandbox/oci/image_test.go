package oci

import (
	"archive/tar"
	"context"
	"os"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/conveyor-ci/conveyor/pipeline/image"
	"github.com/conveyor-ci/conveyor/pipeline/image/store"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/sandboxtest"
	"github.com/conveyor-ci/conveyor/test/images"
)

// rootOf pulls an image, as the product does.
func rootOf(t testing.TB, env []string, layers ...v1.Layer) *sandbox.Root {
	t.Helper()
	reg := images.Serve(t)
	name, digest := reg.Push("tiny:1", images.Image(t, env, layers...))
	s, err := store.Open(store.Options{Dir: t.TempDir(), FirstID: 100000, Registries: []string{reg.Host}})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := image.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Hold(t.Context(), ref, digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Release()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &sandbox.Root{Name: "tiny:1", Layers: h.Layers, Env: h.Env}
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

func TestAnImageKeepsTheContract(t *testing.T) {
	t.Parallel()
	for _, runtime := range []string{"crun", "runc"} {
		t.Run(runtime, func(t *testing.T) {
			t.Parallel()
			s := probe(t, Options{Runtime: runtime})
			root := rootOf(t, nil, images.FromHost(t, images.Tools...), images.Layer(t, images.Entry{Name: "home/"}, images.Entry{Name: "run/"}))
			sandboxtest.Run(t, sandboxtest.Case{
				Sandbox: inAnImage{s, root}, Commands: true, Isolated: true,
				Workspace: func(t testing.TB) string { return workspace(t, s) },
				Hidden:    append([]string{s.options.Dir, "/usr/share", "/usr/lib/os-release"}, root.Layers...),
				Left:      s.left,
			})
		})
	}
}

// said runs a script in an image.
func said(t *testing.T, s *Sandbox, root *sandbox.Root, script string, env ...string) (string, sandbox.Verdict) {
	t.Helper()
	var out strings.Builder
	v, err := s.Run(t.Context(), sandbox.Spec{ID: strings.ToLower(rest(t.Name())), Script: script, Workspace: workspace(t, s), Output: &out, Root: root, Env: env})
	if err != nil {
		t.Fatalf("%v; output: %s", err, out.String())
	}
	return out.String(), v
}

func rest(name string) string { return strings.NewReplacer("/", "-", "_", "-").Replace(name) }

func TestAStepInAnImageSeesTheImageAndWhatIsItsOwn(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	root := rootOf(t, []string{"PATH=/opt/tool:/bin", "LANG=xx", "HOME=/root", "TMPDIR=/no", "CI=no", "LD_LIBRARY_PATH=/opt/lib", "SET=by the image", "GIVEN=by the image"},
		images.FromHost(t, images.Tools...),
		images.Layer(t, images.Entry{Name: "opt/tool/greet", Text: "#!/bin/sh\necho hello from the image\n", Header: func(h *tar.Header) { h.Mode = 0o755 }},
			images.Entry{Name: "etc/hostname", Text: "image\n"}, images.Entry{Name: "root/", Header: func(h *tar.Header) { h.Mode = 0o700 }}))
	out, v := said(t, s, root, `greet
pwd; id -u; id -un; uname -n; cat /etc/hostname
echo "$PATH $LANG $HOME $TMPDIR $CI $LD_LIBRARY_PATH"; echo "$SET, $GIVEN"
stat -c '%u %a %n' / /etc /bin/cat /root /workspace
for d in / /etc /usr /opt/tool /root; do if touch "$d/x" 2>/dev/null; then echo "wrote to $d"; fi; done
touch /workspace/x /tmp/x "$HOME/x"
`, "GIVEN=by the step")
	want := `hello from the image
/workspace
1000
build
conveyor
conveyor
/opt/tool:/bin xx /home/build /tmp true /opt/lib
by the image, by the step
0 755 /
0 755 /etc
0 755 /bin/cat
0 700 /root
1000 755 /workspace
`
	if !v.Passed() || out != want {
		t.Errorf("%+v:\n%s", v, out)
	}
}

func TestAnImagesOwnUserOfThatNumberKeepsItsName(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	root := rootOf(t, nil, images.FromHost(t, images.Tools...), images.Layer(t,
		images.Entry{Name: "etc/passwd", Text: "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/bash\n"}, images.Entry{Name: "etc/group", Text: "node:x:1000:\n"}))
	if out, v := said(t, s, root, "id -un; id -gn; wc -l </etc/passwd"); !v.Passed() || out != "node\nnode\n2\n" {
		t.Errorf("%+v: %q", v, out)
	}
}

// Where the box needs a folder, an image may have a link to somewhere else.
func TestLinksOfAnImageLeadTheBoxNowhere(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	away := t.TempDir()
	if err := os.Chmod(away, 0o777); err != nil {
		t.Fatal(err)
	}
	entries := []images.Entry{{Name: "etc/", Text: ""}, {Name: "etc/passwd", To: away + "/passwd"}, {Name: "etc/group", To: "/proc/self/environ"}, {Name: "etc/hosts", To: away + "/hosts"}}
	for _, name := range []string{"workspace", "home", "proc", "dev", "tmp", "sys", "run", "step"} {
		entries = append(entries, images.Entry{Name: name, To: away})
	}
	out, v := said(t, s, rootOf(t, nil, images.FromHost(t, images.Tools...), images.Layer(t, entries...)), "echo x >/tmp/x; echo x >/workspace/x; echo x >~/x; id -un; cat /etc/passwd; ls -d /proc/self/fd >/dev/null; test -c /dev/null")
	if !v.Passed() || out != "build\nbuild:x:1000:1000:build:/home/build:/bin/sh\n" {
		t.Errorf("%+v: %q", v, out)
	}
	if left := images.Tree(t, away); len(left) > 0 {
		t.Errorf("the box has written to %q", left)
	}
}

func TestAnImageWithoutAShellSaysSo(t *testing.T) {
	t.Parallel()
	boxes := map[string]*Sandbox{"crun": probe(t, Options{Runtime: "crun"}), "runc": probe(t, Options{Runtime: "runc"})}
	for name, c := range map[string]struct {
		layers []v1.Layer
		says   string
	}{
		"no shell":          {[]v1.Layer{images.Layer(t, images.Entry{Name: "bin/"}, images.Entry{Name: "bin/app", Text: "x"})}, "no shell at /bin/sh"},
		"a link to nowhere": {[]v1.Layer{images.Layer(t, images.Entry{Name: "bin/sh", To: "/bin/busybox"})}, "no shell at /bin/sh"},
		"a link to ours":    {[]v1.Layer{images.Layer(t, images.Entry{Name: "bin/sh", To: "../../../../../bin/bash"})}, "no shell at /bin/sh"},
		"not a program":     {[]v1.Layer{images.Layer(t, images.Entry{Name: "bin/sh", Text: "x"})}, "no shell at /bin/sh"},
		"another processor": {[]v1.Layer{images.Layer(t, images.Entry{Name: "bin/sh", Text: "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 200), Header: func(h *tar.Header) { h.Mode = 0o755 }})}, "cannot be started"},
		"no libraries":      {[]v1.Layer{noLibraries(t)}, "cannot be started"},
		"empty":             {nil, "it is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := rootOf(t, nil, c.layers...)
			for runtime, s := range boxes {
				out, v := said(t, s, root, "true")
				if v.Outcome != sandbox.Exited || v.ExitCode != 127 || !strings.Contains(v.Reason, "tiny:1") || !strings.Contains(v.Reason, c.says) || out != "" {
					t.Errorf("%s: %+v: %q", runtime, v, out)
				}
			}
		})
	}
}

// noLibraries is a layer with this machine's shell and nothing that it is linked with.
func noLibraries(t *testing.T) v1.Layer {
	t.Helper()
	text, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	return images.Layer(t, images.Entry{Name: "bin/sh", Text: string(text), Header: func(h *tar.Header) { h.Mode = 0o755 }})
}

func TestAnImageOfManyLayersIsMounted(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	layers := []v1.Layer{images.FromHost(t, images.Tools...)}
	for i := range 150 {
		layers = append(layers, images.Layer(t, images.Entry{Name: "n", Text: strings.Repeat("x", i)}))
	}
	if out, v := said(t, s, rootOf(t, nil, layers...), "wc -c </n"); !v.Passed() || strings.TrimSpace(out) != "149" {
		t.Errorf("%+v: %q", v, out)
	}
}
