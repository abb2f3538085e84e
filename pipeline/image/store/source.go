package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/conveyor-ci/conveyor/pipeline/image"
)

// source is an image that is somewhere else.
type source struct {
	digest   string // what the reference stands for there
	img      v1.Image
	manifest *v1.Manifest // nil for a tarball, which has none
}

var platform = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}

// open finds an image where it is kept: of a registry the one with the digest, of a file the one that is there now.
func (s *Store) open(ctx context.Context, ref image.Ref, digest string) (source, error) {
	switch ref.Kind {
	case image.Tarball:
		return s.openTarball(ref.Path)
	case image.Layout:
		return s.openLayout(ref.Path)
	}
	return s.openRemote(ctx, ref.Name, digest)
}

// look asks what a reference stands for, and for nothing else: registries that count pulls do not count that.
func (s *Store) look(ctx context.Context, ref name.Reference) (digest string, err error) {
	err = s.ask(ctx, ref, func(repo name.Repository) error {
		if d, err := remote.Head(repo.Tag(ref.Identifier()), s.options(ctx)...); err == nil {
			digest = d.Digest.String()
			return nil
		}
		from, err := s.fetch(ctx, repo, ref.Identifier()) // why, or a registry that does not know how to be asked
		digest = from.digest
		return err
	})
	return digest, err
}

// openRemote opens the image with the digest.
func (s *Store) openRemote(ctx context.Context, ref name.Reference, digest string) (from source, err error) {
	err = s.ask(ctx, ref, func(repo name.Repository) error {
		from, err = s.fetch(ctx, repo, digest)
		return err
	})
	return from, err
}

// ask asks the mirrors of the registry, in their order, and then the registry itself.
func (s *Store) ask(ctx context.Context, ref name.Reference, one func(name.Repository) error) error {
	if !s.mayAsk(ref.Context().Registry) {
		return refused("images from %s are not taken here: CONVEYOR_IMAGE_REGISTRIES does not name it", ref.Context().RegistryStr())
	}
	var trouble error
	for _, mirror := range s.o.Mirrors[hostOf(ref.Context().RegistryStr())] {
		repo, err := repository(mirror, ref.Context().RepositoryStr())
		if err != nil {
			return err
		}
		if err = one(repo); err == nil || ctx.Err() != nil {
			return err
		}
		s.o.Log.Warn("a mirror does not give an image", "mirror", mirror, "image", ref.Name(), "err", err)
		if !errors.Is(err, image.ErrNone) && trouble == nil {
			trouble = fmt.Errorf("its mirror %s: %w", hostOf(mirror), err)
		}
	}
	err := one(ref.Context())
	if errors.Is(err, image.ErrNone) && trouble != nil {
		return fmt.Errorf("%w; and %v", trouble, err) // the mirror may have what the registry does not give
	}
	return err
}

func (s *Store) options(ctx context.Context) []remote.Option {
	return []remote.Option{
		remote.WithContext(ctx), remote.WithTransport(s.net), remote.WithAuthFromKeychain(logins(s.o.AuthFile)), remote.WithPlatform(platform),
		remote.WithUserAgent("conveyor"), remote.WithRetryBackoff(remote.Backoff{Duration: 1e8, Factor: 3, Jitter: 0.1, Steps: 3}),
	}
}

// fetch opens the image that a tag or a digest names.
func (s *Store) fetch(ctx context.Context, repo name.Repository, identifier string) (source, error) {
	var ref name.Reference = repo.Tag(identifier)
	if strings.Contains(identifier, ":") {
		ref = repo.Digest(identifier)
	}
	found, err := remote.Get(ref, s.options(ctx)...)
	if err != nil {
		return source{}, asked(repo, err)
	}
	if !found.MediaType.IsImage() && !found.MediaType.IsIndex() {
		return source{}, refused("%s sends it in the form %.100q, which is not known here", repo.RegistryStr(), found.MediaType)
	}
	img, err := found.Image()
	if err != nil {
		if strings.Contains(err.Error(), "no child with platform") {
			return source{}, refused("it is not made for linux/%s", runtime.GOARCH)
		}
		return source{}, asked(repo, err)
	}
	m, err := img.Manifest()
	return source{digest: found.Digest.String(), img: img, manifest: m}, err
}

// asked tells a registry that says no from one that does not answer.
func asked(repo name.Repository, err error) error {
	var said *transport.Error
	if !errors.As(err, &said) {
		return err
	}
	switch said.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %s does not know it", image.ErrNone, repo.RegistryStr())
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %s answers %d; if it is private, its login belongs into the file that CONVEYOR_IMAGE_AUTH_FILE names", image.ErrNone, repo.RegistryStr(), said.StatusCode)
	}
	return fmt.Errorf("%s answers %d: %w", repo.RegistryStr(), said.StatusCode, err)
}

// mayAsk reports whether the operator lets images come from there.
func (s *Store) mayAsk(r name.Registry) bool {
	return len(s.o.Registries) == 0 || slices.ContainsFunc(s.o.Registries, func(host string) bool { return hostOf(host) == hostOf(r.RegistryStr()) })
}

// hostOf is a registry's host as the settings and the references mean it: Docker's own has two names.
func hostOf(text string) string {
	text = strings.TrimPrefix(strings.TrimPrefix(text, "http://"), "https://")
	host, _, _ := strings.Cut(text, "/")
	if host == name.DefaultRegistry {
		return "docker.io"
	}
	return host
}

// repository is the same repository at a mirror, which may keep it below a path.
func repository(mirror, path string) (name.Repository, error) {
	var options []name.Option
	if rest, plain := strings.CutPrefix(mirror, "http://"); plain {
		mirror, options = rest, append(options, name.Insecure)
	}
	return name.NewRepository(strings.TrimSuffix(strings.TrimPrefix(mirror, "https://"), "/")+"/"+path, options...)
}

// openTarball opens what `docker save` has written. Its configuration's digest stands for it.
func (s *Store) openTarball(path string) (source, error) {
	root, rest, err := s.folder(path)
	if err != nil {
		return source{}, err
	}
	img, err := tarball.Image(func() (io.ReadCloser, error) { return root.openFile(rest) }, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return source{}, fmt.Errorf("%w: there is no file %s", image.ErrNone, path)
	}
	if err != nil {
		return source{}, refused("%s is no tarball of one image: %v", path, err)
	}
	id, err := img.ConfigName()
	return source{digest: id.String(), img: img}, err
}

// openLayout opens a folder in OCI's form that holds one image for this machine.
func (s *Store) openLayout(path string) (source, error) {
	root, rest, err := s.folder(path)
	if err != nil {
		return source{}, err
	}
	real, err := root.real(rest)
	if errors.Is(err, fs.ErrNotExist) {
		return source{}, fmt.Errorf("%w: there is no folder %s", image.ErrNone, path)
	}
	if err != nil {
		return source{}, err
	}
	index, err := layout.ImageIndexFromPath(real)
	if err != nil {
		return source{}, refused("%s is no image in OCI's form: %v", path, err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		return source{}, refused("%s is no image in OCI's form: %v", path, err)
	}
	var found []v1.Descriptor
	for _, d := range m.Manifests {
		if d.MediaType.IsImage() && (d.Platform == nil || d.Platform.Satisfies(platform)) {
			found = append(found, d)
		}
	}
	if len(found) != 1 {
		return source{}, refused("%s holds %d images for linux/%s, and it must be one", path, len(found), runtime.GOARCH)
	}
	img, err := index.Image(found[0].Digest)
	if err != nil {
		return source{}, refused("%s is no image in OCI's form: %v", path, err)
	}
	manifest, err := img.Manifest()
	return source{digest: found[0].Digest.String(), img: img, manifest: manifest}, err
}

// allowed is a folder of the operator's. What is opened in it stays in it, whatever its links say.
type allowed struct{ dir string }

// folder finds the operator's folder in which a path lies. A plan cannot name any other file of this machine.
func (s *Store) folder(path string) (allowed, string, error) {
	for _, dir := range s.o.Folders {
		if rest, ok := strings.CutPrefix(path, strings.TrimSuffix(dir, "/")+"/"); ok && filepath.IsLocal(rest) {
			return allowed{dir}, rest, nil
		}
	}
	return allowed{}, "", refused("%s lies in no folder that CONVEYOR_IMAGE_DIRS names", path)
}

func (a allowed) openFile(rest string) (*os.File, error) {
	f, err := os.OpenInRoot(a.dir, rest)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s is no file", rest), err, f.Close())
	}
	return f, nil
}

// real is a folder's path without links, which has to be within the allowed one still.
func (a allowed) real(rest string) (string, error) {
	real, err := filepath.EvalSymlinks(filepath.Join(a.dir, rest))
	if err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(a.dir)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(real, dir+"/") {
		return "", refused("%s leads out of %s", rest, a.dir)
	}
	return real, nil
}
