package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/image"
	"github.com/conveyor-ci/conveyor/pipeline/image/store"
)

// pullTime is how long a pull may take: a registry that stops in the middle does not keep a worker for ever. A step's own
// timeout begins after it.
const pullTime = 30 * time.Minute

// imageKeeper is a sandbox that keeps images itself. ref names one by its digest.
type imageKeeper interface {
	HasImage(ctx context.Context, ref string) (program image.Program, has bool, err error)
	PullImage(ctx context.Context, ref string, login image.Login, tell func(image.Progress)) error
}

// imageOf is the image that a step runs in: where there are no tools of the host, the operator says which one when the plan
// does not.
func (a *App) imageOf(step pipeline.Step) string {
	if usual, _, needed := a.config.usualImage(); step.Image == "" && needed {
		return usual
	}
	return step.Image
}

// usualImage is the image of steps that name none, and the setting that says it, where every step needs one.
func (c Config) usualImage() (name, setting string, needed bool) {
	switch c.Sandbox {
	case "docker":
		return c.DockerImage, "CONVEYOR_DOCKER_IMAGE", true
	case "kubernetes":
		return c.Kubernetes.Image, "CONVEYOR_KUBERNETES_IMAGE", true
	}
	return "", "", false
}

// openImages opens the store of images, where there is a sandbox that can mount them. Of one that keeps them itself, the
// store says what names stand for, and what may be had.
func (a *App) openImages(context.Context) error {
	box, mounts := a.sandbox.(interface{ FirstID() int })
	_, keeps := a.sandbox.(imageKeeper)
	if !mounts && !keeps || a.config.Images == "off" {
		return nil
	}
	first := 0
	if mounts {
		first = box.FirstID()
	}
	mirrors := map[string][]string{}
	for _, m := range a.config.ImageMirrors {
		registry, mirror, _ := strings.Cut(m, "=")
		mirrors[registry] = append(mirrors[registry], mirror)
	}
	open := store.Open
	if keeps {
		open = store.OpenElsewhere
	}
	s, err := open(store.Options{
		Dir: filepath.Join(a.config.DataDir, "images"), FirstID: first,
		Registries: a.config.ImageRegistries, Mirrors: mirrors, AuthFile: a.config.ImageAuthFile, Folders: a.config.ImageDirs,
		MaxBytes: a.config.ImageMaxBytes, Keep: a.config.ImageStoreBytes, Now: a.clock, Log: a.log,
	})
	if errors.Is(err, store.ErrUnfit) {
		a.log.Warn("no step can run in an image: put CONVEYOR_DATA_DIR on a disk of its own", "err", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("app: images cannot be kept: %w", err)
	}
	a.images = s
	a.closers = append(a.closers, s.Close)
	return nil
}

// imageHere brings an image here, and says in the step's log how that goes. The fault is the plan's or the operator's, in
// words for people; an error is ours, and the step is tried again.
func (a *App) imageHere(ctx context.Context, w *runWork, name string, log io.Writer) (held image.Held, fault string, err error) {
	switch {
	case a.config.Images == "off":
		return held, "this server runs no step in an image: CONVEYOR_IMAGES is off", nil
	case a.images == nil:
		return held, "this server runs no step in an image: it has no sandbox that can mount one, or no folder that can hold one; its log says which", nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, pullTime, fmt.Errorf("the pull took longer than %s", pullTime))
	defer cancel()
	held, err = a.holdImage(ctx, w, name, log)
	if errors.Is(err, image.ErrNone) || errors.Is(err, image.ErrRefused) {
		return held, fmt.Sprintf("the image %s cannot be used: %s", name, imageFault(err, name)), nil
	}
	if err != nil {
		return held, "", fmt.Errorf("the image %s could not be had: %w", name, err)
	}
	return held, "", nil
}

// holdImage looks the image up, once in a run, and makes sure that it is here.
func (a *App) holdImage(ctx context.Context, w *runWork, name string, log io.Writer) (image.Held, error) {
	ref, err := image.Parse(name)
	if err != nil {
		return image.Held{}, fmt.Errorf("%w: %w", image.ErrRefused, err) // a plan that an older version has read
	}
	digest, known := w.Latest().Images[name]
	if !known {
		now, err := a.images.Resolve(ctx, ref)
		if err != nil {
			return image.Held{}, err
		}
		s, err := w.Append(ctx, pipeline.ImageResolved{Image: name, Digest: pipeline.Digest(now), At: a.now().UTC()})
		if err != nil {
			return image.Held{}, err
		}
		if digest = s.Images[name]; digest == "" { // a registry that names its bytes by another hash
			return image.Held{}, fmt.Errorf("%w: it is named by %.80q, which is no SHA-256", image.ErrRefused, now)
		}
	}
	fmt.Fprintf(log, "image %s is %s\n", name, digest)
	tell := func(p image.Progress) { fmt.Fprintf(log, "pulling %s (%s)\n", name, p) }
	if keeper, keeps := a.sandbox.(imageKeeper); keeps {
		return a.keptImage(ctx, keeper, ref, string(digest), tell)
	}
	return a.images.Hold(ctx, ref, string(digest), tell)
}

// keptImage makes sure that a sandbox that keeps images itself has this one. What it has is not asked for again; what the
// operator's settings do not allow is not used, whether it is there or not.
func (a *App) keptImage(ctx context.Context, keeper imageKeeper, ref image.Ref, digest string, tell func(image.Progress)) (held image.Held, err error) {
	if err := a.images.Allowed(ref); err != nil {
		return held, err
	}
	held = image.Held{Digest: digest, Ref: ref.Name.Context().Name() + "@" + digest}
	has := false
	if held.Program, has, err = keeper.HasImage(ctx, held.Ref); err != nil || has {
		return held, err
	}
	examined, err := a.images.Examine(ctx, ref, digest)
	if err != nil {
		return held, err
	}
	login, err := a.images.Login(ref)
	if err != nil {
		return held, err
	}
	if err := keeper.PullImage(ctx, held.Ref, login, tell); err != nil {
		return held, err
	}
	if held.Program, has, err = keeper.HasImage(ctx, held.Ref); err == nil && !has {
		held.Program = examined // where images are nodes' of a cluster, nobody else can say it
	}
	return held, err
}

// imageFault is what is wrong, without the words that say who says it.
func imageFault(err error, name string) string {
	says := err.Error()
	for _, doing := range []string{"look up", "pull"} {
		says = strings.TrimPrefix(says, "image: "+doing+" "+name+": ")
	}
	return says
}

// checkImages is Config.Check of what is about images.
func (c Config) checkImages() (problems []string) {
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if c.Images != "" && c.Images != "on" && c.Images != "off" {
		say("CONVEYOR_IMAGES %q is unknown; give on or off.", c.Images)
	}
	for _, host := range c.ImageRegistries {
		if !registryHost(host) || strings.Contains(strings.TrimPrefix(host, "http://"), "/") {
			say("CONVEYOR_IMAGE_REGISTRIES names %q; give hosts, with a port where they need one: ghcr.io, registry.example.com:5000.", host)
		}
	}
	for _, m := range c.ImageMirrors {
		registry, mirror, ok := strings.Cut(m, "=")
		if !ok || !registryHost(registry) || !registryHost(mirror) || strings.ContainsAny(registry, "/") {
			say("CONVEYOR_IMAGE_MIRRORS names %q; give REGISTRY=MIRROR, for example docker.io=mirror.example.com:5000.", m)
		}
	}
	for _, dir := range c.ImageDirs {
		if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir || dir == "/" {
			say("CONVEYOR_IMAGE_DIRS names %q; give absolute folders, and not the whole disk.", dir)
		}
	}
	if c.ImageAuthFile != "" && !filepath.IsAbs(c.ImageAuthFile) {
		say("CONVEYOR_IMAGE_AUTH_FILE %q is not an absolute path.", c.ImageAuthFile)
	}
	if c.ImageMaxBytes < 0 || c.ImageStoreBytes < 0 {
		say("CONVEYOR_IMAGE_MAX_BYTES and CONVEYOR_IMAGE_STORE_BYTES are sizes in bytes; give numbers above 0, or leave them out.")
	}
	return problems
}

func registryHost(text string) bool {
	_, err := image.Parse(strings.TrimSuffix(strings.TrimPrefix(text, "http://"), "/") + "/x")
	return err == nil && !strings.ContainsAny(text, "@ ") && strings.ContainsAny(text, ".:")
}
