package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/cache"
	"github.com/conveyor-ci/conveyor/pipeline/layers"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

func (a *App) openCache(context.Context) (err error) {
	owner := layers.Owner{UID: -1, GID: -1}
	if o, ok := a.sandbox.(interface{ Owner() (int, int) }); ok {
		owner.UID, owner.GID = o.Owner()
	}
	a.cache, err = cache.Open(cache.Options{
		Dir: filepath.Join(a.config.DataDir, "cache"), Owner: owner, Size: a.config.CacheSize << 30, Now: a.clock, Log: a.log,
	})
	if err != nil {
		return fmt.Errorf("app: the cache cannot be used: %w", err)
	}
	a.closers = append(a.closers, a.cache.Close)
	return nil
}

// lend gives a step its cache, and says so in its log. A cache that cannot be had never fails a step: it is slower, that is
// all. What is returned may be nil.
func (a *App) lend(ctx context.Context, s pipeline.State, spec pipeline.Step, id, workspace string, log io.Writer) *cache.Lent {
	if spec.Cache == nil {
		return nil
	}
	name := spec.Cache.Name()
	if a.cache == nil { // a run on a person's own machine leaves nothing there
		fmt.Fprintf(log, "%s: not used: a run on your own machine keeps nothing\n", name)
		return nil
	}
	key, err := cache.KeyOf(workspace, *spec.Cache, besides(spec)...)
	if err == nil {
		var lent *cache.Lent
		if lent, err = a.cache.Lend(ctx, cache.AskerOf(s), id, *spec.Cache, key, workspace); err == nil {
			switch {
			case lent.Exact:
				fmt.Fprintf(log, "%s: restored %s from key %s\n", name, inWords(lent.Size), key.Short())
			case lent.From != cache.Key{}:
				fmt.Fprintf(log, "%s: restored %s from key %s, the newest before key %s\n", name, inWords(lent.Size), lent.From.Short(), key.Short())
			default:
				fmt.Fprintf(log, "%s: nothing is kept for key %s yet\n", name, key.Short())
			}
			return lent
		}
	}
	fmt.Fprintf(log, "%s: not used: %s\n", name, strings.TrimPrefix(err.Error(), "cache: "))
	if !errors.Is(err, cache.ErrNoKey) && !errors.Is(err, cache.ErrTaken) && ctx.Err() == nil {
		a.log.Warn("a cache could not be used", "run", s.Run, "step", spec.Name, "err", err)
	}
	return nil
}

// besides is what makes the contents of two caches no use for one another, beside their declarations.
func besides(spec pipeline.Step) []string {
	if spec.Cache.Text == "" {
		return []string{spec.Image}
	}
	return []string{spec.Image, spec.Cache.Text}
}

// keep makes what a step has left in its cache an entry for later runs, when the run may fill it.
func (a *App) keep(ctx context.Context, s pipeline.State, spec pipeline.Step, lent *cache.Lent, secrets []string, log io.Writer) {
	if lent == nil || lent.Exact {
		return
	}
	name := spec.Cache.Name()
	size, err := lent.Keep(ctx, secrets...)
	switch {
	case errors.Is(err, cache.ErrMayNot):
		fmt.Fprintf(log, "%s: what this run made is not kept: only pushes to %s fill the cache\n", name, s.Trigger.Repo.Branch)
	case err != nil:
		fmt.Fprintf(log, "%s: not kept: %s\n", name, strings.TrimPrefix(err.Error(), "cache: "))
		if !errors.Is(err, cache.ErrTooBig) && !errors.Is(err, cache.ErrSecret) && ctx.Err() == nil {
			a.log.Warn("a cache could not be kept", "run", s.Run, "step", spec.Name, "err", err)
		}
	default:
		key := lent.Key()
		fmt.Fprintf(log, "%s: kept %s as key %s\n", name, inWords(size), key.Short())
	}
}

// folders are what a step sees of its cache.
func folders(lent *cache.Lent) (all []sandbox.Folder) {
	if lent != nil {
		for _, f := range lent.Folders {
			all = append(all, sandbox.Folder{Source: f.Source, Writes: f.Writes, Target: f.Target})
		}
	}
	return all
}

// inWords is a size for people.
func inWords(bytes int64) string {
	switch {
	case bytes >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
	case bytes >= 1e6:
		return fmt.Sprintf("%d MB", bytes/1e6)
	}
	return fmt.Sprintf("%d kB", (bytes+999)/1000)
}
