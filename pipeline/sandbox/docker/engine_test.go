package docker

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/moby/moby/client"

	"github.com/conveyor-ci/conveyor/pipeline/image"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/secret"
	"github.com/conveyor-ci/conveyor/test/images"
)

func TestAnEngineElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"tcp://127.0.0.1:2375", "ssh://root:word-of-a-login@host", "http://host", "unix://", "unix://relative", "host"} {
		_, err := Probe(t.Context(), Options{Host: host, Dir: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), "unix://") || strings.Contains(err.Error(), "word-of-a-login") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestAnEngineThatDoesNotAnswerIsAnErrorThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	_, err := Probe(t.Context(), Options{Host: "unix://" + filepath.Join(t.TempDir(), "s"), Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "DOCKER_HOST") {
		t.Errorf("%v", err)
	}
}

func TestAStepWithoutAnImageIsRefused(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	for _, root := range []*sandbox.Root{nil, {Name: "unpacked", Layers: []string{"/srv"}}} {
		if v, err := s.Run(t.Context(), sandbox.Spec{ID: "x", Workspace: workspace(t, s), Output: &strings.Builder{}, Root: root}); err == nil || !strings.Contains(err.Error(), "image") {
			t.Errorf("%+v, %v", v, err)
		}
	}
}

func TestAnImageThatIsNotThereIsNotTheEnginesFault(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	reg := images.Serve(t)
	missing := reg.Host + "/none@sha256:" + strings.Repeat("a", 64)
	if _, has, err := s.HasImage(t.Context(), missing); has || err != nil {
		t.Errorf("%t, %v", has, err)
	}
	if err := s.PullImage(t.Context(), missing, image.Login{}, nil); !errors.Is(err, image.ErrNone) {
		t.Errorf("%v", err)
	}
	gone := "127.0.0.1:1/none@sha256:" + strings.Repeat("a", 64) // where nobody listens
	if err := s.PullImage(t.Context(), gone, image.Login{}, nil); err == nil || errors.Is(err, image.ErrNone) {
		t.Errorf("%v", err)
	}
}

func TestAnImageWithoutAShellSaysSo(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	program := func(h *tar.Header) { h.Mode = 0o755 }
	sh, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, layers := range map[string][]v1.Layer{
		"no shell":          {images.Layer(t, images.Entry{Name: "bin/app", Text: "x"})},
		"not a program":     {images.Layer(t, images.Entry{Name: "bin/sh", Text: "x"})},
		"another processor": {images.Layer(t, images.Entry{Name: "bin/sh", Text: "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 200), Header: program})},
		"no libraries":      {images.Layer(t, images.Entry{Name: "bin/sh", Text: string(sh), Header: program})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, v := said(t, s, rootOf(t, s, nil, layers...), "true")
			if v.Outcome != sandbox.Exited || v.ExitCode != 127 || !strings.Contains(v.Reason, "tiny:1") || out != "" {
				t.Errorf("%+v: %q", v, out)
			}
		})
	}
}

func said(t *testing.T, s *Sandbox, root *sandbox.Root, script string) (string, sandbox.Verdict) {
	t.Helper()
	var out strings.Builder
	id := strings.NewReplacer("/", "-", "_", "-").Replace(t.Name())
	v, err := s.Run(t.Context(), sandbox.Spec{ID: id, Script: script, Workspace: workspace(t, s), Output: &out, Root: root})
	if err != nil {
		t.Fatalf("%v; output: %s", err, out.String())
	}
	return out.String(), v
}

// What an image says of users, folders and checks is for those who start it by hand.
func TestAStepFollowsOfItsImageTheVariablesAlone(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	env := []string{"PATH=/opt/tool:/bin", "HOME=/root", "LD_LIBRARY_PATH=/opt/lib", "SET=by the image"}
	img := images.Image(t, env, append(tools(t),
		images.Layer(t, images.Entry{Name: "opt/tool/greet", Text: "#!/bin/sh\necho hello from the image\n", Header: func(h *tar.Header) { h.Mode = 0o755 }}))...)
	c := images.Config(t, img, env)
	c.Config.Volumes = map[string]struct{}{"/data": {}, "/workspace": {}}
	c.Config.Healthcheck = &v1.HealthConfig{Test: []string{"CMD", "touch", "/workspace/checked"}}
	img, err := mutate.ConfigFile(img, c)
	if err != nil {
		t.Fatal(err)
	}
	reg := images.Serve(t)
	name, digest := reg.Push("tiny:1", img)
	root := &sandbox.Root{Name: "tiny:1", Ref: strings.TrimSuffix(name, ":1") + "@" + digest}
	if err := s.PullImage(t.Context(), root.Ref, image.Login{}, nil); err != nil {
		t.Fatal(err)
	}
	out, v := said(t, s, root, "greet; pwd; id -un; uname -n; echo \"$HOME $LD_LIBRARY_PATH $SET\"; cat /etc/hostname; touch /data/x; while read -r f type rest; do if [ \"$type\" = /data ]; then echo \"$rest\"; fi; done </proc/mounts | head -c 5\n")
	if want := "hello from the image\n/workspace\nbuild\nconveyor\n/home/build /opt/lib by the image\nconveyor\ntmpfs"; !v.Passed() || out != want {
		t.Errorf("%+v:\n%s", v, out)
	}
}

// The engine keeps what it is told of a container on its disk, and tells it to everyone who may ask.
func TestTheEngineIsToldNoSecretAndNoScript(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	root := rootOf(t, s, nil, tools(t)...)
	const words, script = "canary-of-a-container", "echo ready; read -r line <gate"
	out := make(lines, 10)
	ws := workspace(t, s)
	gate := filepath.Join(ws, "gate")
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.Run(t.Context(), sandbox.Spec{
			ID: "told", Script: "echo ready; while [ ! -s gate ]; do sleep 0.05; done # " + script, Workspace: ws, Output: out, Root: root,
			Secrets: []secret.Given{{Name: "KEY", Value: secret.New(words), Env: true}},
		})
		done <- err
	}()
	<-out
	found, err := s.engine.ContainerInspect(t.Context(), "conveyor-"+s.instance.Name+"-told", client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(found.Container)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{words, script} {
		if strings.Contains(string(text)+string(found.Raw), word) {
			t.Errorf("the engine knows %q", word)
		}
	}
	if files, err := filepath.Glob(filepath.Join(s.instance.Path, "told", "*", "*")); err != nil || len(files) > 0 {
		t.Errorf("this machine has paths to what the step was given: %q, %v", files, err)
	}
	if err := os.WriteFile(gate, []byte("go\n"), 0); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestALoginIsNeverPrinted(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	reg := images.Serve(t)
	err := s.PullImage(t.Context(), reg.Host+"/none@sha256:"+strings.Repeat("b", 64), image.Login{Registry: reg.Host, User: "user", Password: "word-of-a-login"}, nil)
	if err == nil || strings.Contains(err.Error(), "word-of-a-login") {
		t.Errorf("%v", err)
	}
}

// An engine that goes away takes its steps with it. That is nobody's verdict.
func TestAContainerThatSomebodyElseEndsIsNobodysVerdict(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	root := rootOf(t, s, nil, tools(t)...)
	out := make(lines, 10)
	done := make(chan error, 1)
	go func() {
		v, err := s.Run(t.Context(), sandbox.Spec{ID: "ended", Script: "echo ready; sleep 1000", Workspace: workspace(t, s), Output: out, Root: root})
		if err == nil {
			t.Errorf("%+v", v)
		}
		done <- err
	}()
	<-out
	if err := s.forget(t.Context(), "conveyor-"+s.instance.Name+"-ended"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("it ended as if by itself")
	}
}
