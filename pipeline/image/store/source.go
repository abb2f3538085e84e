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

// open finds an image where it is kept: the one with the digest, or the one that the reference stands for now.
func (s *Store) open(ctx context.Context, ref image.Ref, digest string) (source, error) {
	switch ref.Kind {
	case image.Tarball:
		return s.openTarball(ref.Path)
	case image.Layout:
		return s.openLayout(ref.Path)
	}
	return s.openRemote(ctx, ref.Name, digest)
}

// openRemote asks the mirrors of the registry, in their order, and then the registry itself.
func (s *Store) openRemote(ctx context.Context, ref name.Reference, digest string) (source, error) {
	if !s.mayAsk(ref.Context().Registry) {
		return source{}, refused("images from %s are not taken here: CONVEYOR_IMAGE_REGISTRIES does not name it", ref.Context().RegistryStr())
	}
	for _, mirror := range s.o.Mirrors[hostOf(ref.Context().RegistryStr())] {
		repo, err := repository(mirror, ref.Context().RepositoryStr())
		if err != nil {
			return source{}, err
		}
		from, err := s.fetch(ctx, repo, ref.Identifier(), digest)
		if err == nil || ctx.Err() != nil {
			return from, err
		}
		s.o.Log.Warn("a mirror does not have an image", "mirror", mirror, "image", ref.Name(), "err", err)
	}
	return s.fetch(ctx, ref.Context(), ref.Identifier(), digest)
}

func (s *Store) fetch(ctx context.Context, repo name.Repository, identifier, digest string) (source, error) {
	var ref name.Reference = repo.Tag(identifier)
	if digest != "" {
		ref = repo.Digest(digest)
	} else if strings.Contains(identifier, ":") {
		ref = repo.Digest(identifier)
	}
	found, err := remote.Get(ref, remote.WithContext(ctx), remote.WithTransport(s.net), remote.WithAuthFromKeychain(logins(s.o.AuthFile)),
		remote.WithPlatform(platform), remote.WithUserAgent("conveyor"), remote.WithRetryBackoff(remote.Backoff{Duration: 1e8, Factor: 3, Jitter: 0.1, Steps: 3}))
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
