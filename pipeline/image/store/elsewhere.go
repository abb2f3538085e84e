package store

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/conveyor-ci/conveyor/pipeline/image"
)

// Allowed says whether an image may be used that somebody else keeps. One in a file of this machine cannot.
func (s *Store) Allowed(ref image.Ref) error {
	if ref.Kind != image.Registry {
		return refused("images in files are for sandboxes that mount them: put it into a registry")
	}
	if !s.mayAsk(ref.Name.Context().Registry) {
		return refused("images from %s are not taken here: CONVEYOR_IMAGE_REGISTRIES does not name it", ref.Name.Context().RegistryStr())
	}
	return nil
}

// Examine looks at an image that somebody else is going to pull, without its layers: it has to be there, where the server
// may ask for it, not too large on the wire, and made for this machine. What is run in it is what it says of itself.
func (s *Store) Examine(ctx context.Context, ref image.Ref, digest string) (p image.Program, err error) {
	from, err := s.open(ctx, ref, digest)
	if err == nil && from.digest != digest {
		err = refused("it is %s, and not %s", short(from.digest), short(digest))
	}
	if err == nil {
		var said *v1.ConfigFile
		if said, err = s.examine(from); err == nil {
			p = program(said.Config)
		}
	}
	if err != nil {
		return p, fmt.Errorf("image: look up %s: %w", ref, err)
	}
	return p, nil
}

// Login is what the registry of an image wants to know, for whoever pulls it. It is empty when nobody is logged in.
func (s *Store) Login(ref image.Ref) (l image.Login, err error) {
	registry := ref.Name.Context().Registry
	found, err := logins(s.o.AuthFile).Resolve(registry)
	if err != nil {
		return l, err
	}
	a, err := found.Authorization()
	if err != nil || a == nil {
		return l, err
	}
	return image.Login{Registry: registry.RegistryStr(), User: a.Username, Password: a.Password, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken}, nil
}
