package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/image"
	"github.com/conveyor-ci/conveyor/pipeline/image/store"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/oci"
	"github.com/conveyor-ci/conveyor/test/images"
)

// measureImages asks what an image costs a step whose layers are here already: `true` in an image of five layers, looked up
// in the store and mounted anew for each step, and the same with the tools of this machine, in turns.
func measureImages(ctx context.Context, s *session) (_ []row, err error) {
	dir, err := os.MkdirTemp("", "conveyor-bench-images-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	box, err := oci.Probe(ctx, oci.Options{Dir: filepath.Join(dir, "sandbox")})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	m, done, err := newImaged(ctx, box, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	var inImage, onHost []float64
	side := func(took *[]float64, run func(context.Context) error) func(context.Context) error {
		return func(ctx context.Context) error {
			began := time.Now()
			err := run(ctx)
			*took = append(*took, milliseconds(time.Since(began)))
			return err
		}
	}
	a, b := side(&inImage, m.inImage), side(&onHost, m.onHost)
	if err := errors.Join(a(ctx), b(ctx)); err != nil { // the first of each finds nothing in any cache
		return nil, err
	}
	inImage, onHost = nil, nil
	if err := s.play(ctx, 30*time.Second, pick(s, max(40, s.rounds), 5), a, b); err != nil {
		return nil, err
	}
	return []row{
		lower("warm image start, over one with the host's tools", "ms", median(inImage)-median(onHost), 30, "the aim of 30 ms").aim(1),
		lower("a step of `true` in a warm image", "ms", median(inImage), median(onHost), "the same step with the host's tools"),
	}, nil
}

// imaged is a sandbox, and an image in a store.
type imaged struct {
	box    *oci.Sandbox
	store  *store.Store
	ref    image.Ref
	digest string
	ws     string
	n      int
}

// newImaged builds an image, serves it, and pulls it.
func newImaged(ctx context.Context, box *oci.Sandbox, dir string) (m *imaged, done func() error, err error) {
	t := &unattended{}
	defer func() {
		if p := recover(); p != nil {
			failed, ours := p.(failure)
			if !ours {
				panic(p)
			}
			err = failed.error
		}
		if err != nil {
			t.end()
		}
	}()
	m = &imaged{box: box, ws: filepath.Join(dir, "workspace")}
	uid, gid := box.Owner()
	if err := errors.Join(os.Mkdir(m.ws, 0o755), os.Chown(m.ws, uid, gid), os.Chmod(dir, 0o711)); err != nil {
		return nil, nil, err
	}
	reg := images.Serve(t)
	tools := images.FromHost(t, "sh", "bash", "true")
	img := images.Image(t, []string{"PATH=/bin"}, tools,
		images.Layer(t, images.Entry{Name: "a", Text: "1"}), images.Layer(t, images.Entry{Name: "b", Text: "2"}),
		images.Layer(t, images.Entry{Name: ".wh.a"}), images.Layer(t, images.Entry{Name: "c/"}, images.Entry{Name: "c/d", Text: "3"}))
	name, digest := reg.Push("bench/tools:1", img)
	m.digest = digest
	if m.ref, err = image.Parse(name); err == nil {
		m.store, err = store.Open(store.Options{Dir: filepath.Join(dir, "images"), FirstID: box.FirstID(), Registries: []string{reg.Host}})
	}
	if err != nil {
		return nil, nil, err
	}
	return m, func() error {
		t.end()
		return m.store.Close()
	}, nil
}

func (m *imaged) inImage(ctx context.Context) error {
	held, err := m.store.Hold(ctx, m.ref, m.digest, nil)
	if err != nil {
		return err
	}
	defer held.Release()
	return m.run(ctx, &sandbox.Root{Name: m.ref.String(), Layers: held.Layers, Env: held.Env})
}

func (m *imaged) onHost(ctx context.Context) error { return m.run(ctx, nil) }

func (m *imaged) run(ctx context.Context, root *sandbox.Root) error {
	m.n++
	v, err := m.box.Run(ctx, sandbox.Spec{ID: fmt.Sprintf("bench-%d-%d", os.Getpid(), m.n), Script: "true\n", Workspace: m.ws, Output: io.Discard, Root: root})
	if err == nil && !v.Passed() {
		err = errors.New(v.Reason)
	}
	return err
}

// unattended stands for a test: what fails there ends the measurement here.
type unattended struct{ last []func() }

type failure struct{ error }

func (*unattended) Helper() {}

func (*unattended) Fatal(args ...any) {
	panic(failure{errors.New(strings.TrimSpace(fmt.Sprintln(args...)))})
}

func (u *unattended) Cleanup(f func()) { u.last = append(u.last, f) }

func (u *unattended) end() {
	for i := len(u.last) - 1; i >= 0; i-- {
		u.last[i]()
	}
}
