package store

import (
	"context"
	"io"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/conveyor-ci/conveyor/pipeline/image"
)

const (
	atOnce    = 3       // layers of one image
	maxLayers = 200     // overlayfs takes 500
	maxConfig = 4 << 20 // bytes of an image's configuration
)

// pull brings what is missing of an image here.
func (s *Store) pull(ctx context.Context, ref image.Ref, digest string, tell func(image.Progress)) (h image.Held, err error) {
	from, err := s.open(ctx, ref, digest)
	if err != nil {
		return h, err
	}
	if from.digest != digest {
		return h, refused("it has changed since this run has looked it up: it was %s, and is %s", short(digest), short(from.digest))
	}
	config, err := s.examine(from)
	if err != nil {
		return h, err
	}
	layers, err := from.img.Layers()
	if err != nil {
		return h, err
	}
	if len(layers) != len(config.RootFS.DiffIDs) {
		return h, refused("its configuration tells of %d layers, and there are %d", len(config.RootFS.DiffIDs), len(layers))
	}
	p := newProgress(len(layers), tell)
	got := make([]about, len(layers))
	releases := make([]func(), len(layers))
	defer func() {
		for _, release := range releases {
			if release != nil {
				release()
			}
		}
	}()
	l := newLimits(s.o.MaxBytes, int64(s.o.MaxEntries))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(atOnce)
	for i, layer := range layers {
		work.Go(func() (err error) {
			open := func() (io.ReadCloser, error) { return p.count(layer.Uncompressed()) }
			got[i], releases[i], err = s.layer(ctx, config.RootFS.DiffIDs[i].String(), l, open)
			if err == nil {
				p.layer()
			}
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return h, err
	}
	r := &record{
		Form: recordForm, Digest: digest, Name: ref.String(), Env: config.Config.Env, used: s.o.Now(),
		Program: program(config.Config),
	}
	for i, id := range config.RootFS.DiffIDs {
		if got[i].Alone {
			r.Layers = nil
		}
		// The same layer may stand in an image twice. The upper one shows all that the lower one could.
		r.Layers = append(slices.DeleteFunc(r.Layers, func(l string) bool { return l == id.String() }), id.String())
	}
	if err := s.keep(r); err != nil {
		return h, err
	}
	h, _ = s.take(digest)
	if err := s.Collect(); err != nil {
		s.o.Log.Warn("the store of images keeps more than it should", "err", err)
	}
	return h, nil
}

// program is what is run in an image.
func program(said v1.Config) image.Program {
	return image.Program{Entrypoint: said.Entrypoint, Command: said.Cmd, User: said.User, Dir: said.WorkingDir}
}

// examine refuses what cannot run here, before anything large is asked for.
func (s *Store) examine(from source) (*v1.ConfigFile, error) {
	if from.manifest != nil {
		var wire int64
		for _, l := range from.manifest.Layers {
			if l.Size < 0 || l.Size > s.o.MaxBytes-wire {
				return nil, errTooLarge
			}
			wire += l.Size
		}
		if from.manifest.Config.Size > maxConfig {
			return nil, refused("its configuration is larger than %s", image.Bytes(maxConfig))
		}
	}
	c, err := from.img.ConfigFile()
	if err != nil {
		return nil, err
	}
	if len(c.RootFS.DiffIDs) > maxLayers {
		return nil, refused("it has more than %d layers", maxLayers)
	}
	if c.OS != "" && c.OS != "linux" || c.Architecture != "" && c.Architecture != runtime.GOARCH {
		return nil, refused("it is for %s/%s, and this server is linux/%s", c.OS, c.Architecture, runtime.GOARCH)
	}
	for _, id := range c.RootFS.DiffIDs {
		if !digestForm.MatchString(id.String()) {
			return nil, refused("it names a layer by %.100q, which is no SHA-256", id)
		}
	}
	if strings.ContainsRune(strings.Join(slices.Concat(c.Config.Entrypoint, c.Config.Cmd, []string{c.Config.User, c.Config.WorkingDir}), " "), 0) {
		return nil, refused("its configuration holds a NUL byte")
	}
	c.Config.Env = slices.DeleteFunc(c.Config.Env, func(e string) bool {
		name, _, ok := strings.Cut(e, "=")
		return !ok || name == "" || strings.ContainsRune(e, 0)
	})
	return c, nil
}
