package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"github.com/conveyor-ci/conveyor/pipeline/image"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
)

// HasImage reports whether the engine has an image already, and what it would run by itself. ref names it by its digest.
func (s *Sandbox) HasImage(ctx context.Context, ref string) (p image.Program, has bool, err error) {
	looked, err := s.engine.ImageInspect(ctx, ref)
	if isNotFound(err) {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("sandbox/docker: look for the image: %w", err)
	}
	if c := looked.Config; c != nil {
		p = image.Program{Entrypoint: c.Entrypoint, Command: c.Cmd, User: c.User, Dir: c.WorkingDir}
	}
	return p, true, nil
}

// PullImage has the engine fetch an image by its digest, which the engine checks, too. tell hears how that goes on. The
// login goes to the engine, which sends it to the registry that it is for.
func (s *Sandbox) PullImage(ctx context.Context, ref string, login image.Login, tell func(image.Progress)) error {
	auth, err := authconfig.Encode(registry.AuthConfig{
		Username: login.User, Password: login.Password, IdentityToken: login.IdentityToken, RegistryToken: login.RegistryToken, ServerAddress: login.Registry,
	})
	if err != nil {
		return errors.New("sandbox/docker: the login of the registry cannot be sent") // what is in it is not for logs
	}
	pulling, err := s.engine.ImagePull(ctx, ref, client.ImagePullOptions{RegistryAuth: auth})
	if err != nil {
		return pullError(err)
	}
	defer func() { _ = pulling.Close() }()
	layers, told := map[string]bool{}, time.Now()
	bytes := map[string]int64{}
	for m, err := range pulling.JSONMessages(ctx) {
		switch {
		case err != nil:
			return pullError(err)
		case m.Error != nil:
			return pullError(m.Error)
		case m.ID == "":
			continue
		}
		switch m.Status {
		case "Pulling fs layer", "Waiting":
			layers[m.ID] = layers[m.ID] || false
			continue
		case "Downloading":
			if m.Progress != nil {
				bytes[m.ID] = m.Progress.Current
			}
		case "Already exists", "Pull complete":
			layers[m.ID] = true
		}
		if p := progress(layers, bytes); tell != nil && (layers[m.ID] || time.Since(told) > 5*time.Second) {
			tell(p)
			told = time.Now()
		}
	}
	return nil
}

func progress(layers map[string]bool, bytes map[string]int64) (p image.Progress) {
	for _, done := range layers {
		if p.Of++; done {
			p.Layers++
		}
	}
	for _, n := range bytes {
		p.Bytes += n
	}
	return p
}

// pullError tells a registry that says no from one that does not answer.
func pullError(err error) error {
	says := strings.ToLower(err.Error())
	no := errdefs.IsNotFound(err) || errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err)
	for _, word := range []string{"manifest unknown", "not found", "no basic auth", "denied", "unauthorized"} {
		no = no || strings.Contains(says, word)
	}
	if no {
		return fmt.Errorf("%w: %s", image.ErrNone, box.OneLine(err.Error()))
	}
	return fmt.Errorf("the engine could not pull it: %s", box.OneLine(err.Error()))
}

// looked is what an image says of itself that a container would follow.
type looked struct {
	env     []string
	checked bool     // it has a command that the engine would run in the box from time to time
	volumes []string // places for which the engine would make folders on this machine's disk
}

// health keeps the engine from running the image's own check.
func (l looked) health() *container.HealthConfig {
	if !l.checked {
		return nil
	}
	return &container.HealthConfig{Test: []string{"NONE"}}
}

func (s *Sandbox) look(ctx context.Context, r *sandbox.Root) (l looked, err error) {
	found, err := s.engine.ImageInspect(ctx, r.Ref)
	if err != nil {
		return l, fmt.Errorf("look at the image %s: %w", r.Name, err)
	}
	if found.Config == nil {
		return l, nil
	}
	l.env = slices.DeleteFunc(slices.Clone(found.Config.Env), func(e string) bool {
		name, _, ok := strings.Cut(e, "=")
		return !ok || name == "" || strings.ContainsRune(e, 0)
	})
	l.checked = found.Config.Healthcheck != nil
	for at := range found.Config.Volumes {
		if at = strings.TrimSuffix(at, "/"); strings.HasPrefix(at, "/") && !ours(at) {
			l.volumes = append(l.volumes, at)
		}
	}
	slices.Sort(l.volumes)
	return l, nil
}

// ours reports whether a place is one where something of the box's own is put.
func ours(at string) bool {
	return slices.Contains([]string{workDir, homeDir, secretsDir, scriptFile, "/tmp", "/etc/passwd", "/etc/group"}, at)
}

// nameUser gives the step's user and group a name where the image has none for them: many programs want one. The files are
// those of the image, with one line more. They are read once for each image, out of a container that is never started.
func (s *Sandbox) nameUser(ctx context.Context, name string, spec sandbox.Spec, r *room) (err error) {
	kept, known := s.names.Load(spec.Root.Ref)
	if !known {
		name += ".image"
		defer func() { err = errors.Join(err, s.forget(ctx, name)) }()
		_, err := s.engine.ContainerCreate(ctx, client.ContainerCreateOptions{Name: name, HostConfig: &container.HostConfig{NetworkMode: "none"}, Config: &container.Config{
			Image: spec.Root.Ref, Entrypoint: []string{"/bin/sh"}, Labels: s.labels(spec),
		}})
		if err != nil {
			return err
		}
		var files [2][]byte
		for i, file := range []string{"/etc/passwd", "/etc/group"} {
			text, err := s.read(ctx, name, file)
			if err != nil {
				return err
			}
			line := fmt.Sprintf("build:x:%d:\n", s.user)
			if i == 0 {
				line = fmt.Sprintf("build:x:%d:%d:build:%s:/bin/sh\n", s.user, s.user, homeDir)
			}
			if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
				text = append(text, '\n')
			}
			if !named(text, s.user) {
				text = append(text, line...)
			}
			files[i] = text
		}
		kept = files
		if len(files[0])+len(files[1]) < 64<<10 {
			s.names.Store(spec.Root.Ref, files)
		}
	}
	files := kept.([2][]byte)
	return errors.Join(os.WriteFile(r.given("/passwd"), files[0], 0o444), os.WriteFile(r.given("/group"), files[1], 0o444))
}

// read is a small file of a container that does not run yet, nothing when there is none or it is a link.
func (s *Sandbox) read(ctx context.Context, name, path string) ([]byte, error) {
	found, err := s.engine.CopyFromContainer(ctx, name, client.CopyFromContainerOptions{SourcePath: path})
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the image's %s: %w", path, err)
	}
	defer func() { _ = found.Content.Close() }()
	archive := tar.NewReader(found.Content)
	h, err := archive.Next()
	if err != nil || h.Typeflag != tar.TypeReg || h.Size > maxEtcFile {
		return nil, nil
	}
	text, err := io.ReadAll(io.LimitReader(archive, maxEtcFile))
	if err != nil {
		return nil, fmt.Errorf("read the image's %s: %w", path, err)
	}
	return text, nil
}

// named reports whether a passwd or group file knows a number.
func named(text []byte, id int) bool {
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, ":"); len(f) > 2 && strings.TrimSpace(f[2]) == strconv.Itoa(id) {
			return true
		}
	}
	return false
}

// unfit is an image in which no step can run. That is the plan's doing: another try would end in the same way.
type unfit struct{ why string }

func (u *unfit) Error() string { return u.why }

// unfitVerdict is the verdict of a step whose image is unfit; 127 is what shells say of a program that is not there.
func unfitVerdict(err error) (v sandbox.Verdict, is bool) {
	u, is := errors.AsType[*unfit](err)
	if !is {
		return v, false
	}
	return sandbox.Verdict{Outcome: sandbox.Exited, ExitCode: 127, Reason: u.why}, true
}

// brokenShell tells, by what the engine says, that the image has no shell, or one that cannot be started.
func brokenShell(r *sandbox.Root, says string) error {
	said := strings.ToLower(says)
	switch {
	case strings.Contains(said, "/bin/sh") && (strings.Contains(said, "stat /bin/sh") || strings.Contains(said, "not found in")):
		return &unfit{fmt.Sprintf("nothing can run in the image %s: it has no shell at /bin/sh that can be started, and without one no commands can run in it: choose an image with a shell", r.Name)}
	case strings.Contains(said, "exec") && (strings.Contains(said, "/bin/sh") || strings.Contains(said, "format error")), strings.Contains(said, "shared librar"):
		return &unfit{fmt.Sprintf("nothing can run in the image %s: its shell cannot be started, as the engine says: %s", r.Name, box.OneLine(says))}
	}
	return nil
}
