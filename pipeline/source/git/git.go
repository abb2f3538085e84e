// Package git is the source adapter for Git over HTTPS, done by the git program.
//
// It keeps one bare, shallow mirror per repository, and one laid out tree per commit that is used; a workspace is an
// overlay mount over that tree, so that the second checkout of a commit costs a mount and no copy. It never runs
// anything that a repository brings along (hooks, filters), never follows a redirect, never writes a token anywhere, and never names a folder after something that came from outside.
//
// A token reaches git in the environment of the one process that fetches (git config by GIT_CONFIG_COUNT). The kernel
// shows that environment to root and to the server's own user only, who could read the token in the server's memory as
// well; the command line, which everybody may read, does not hold it.
//
// Start reading at Source.Fetch (fetch.go), then Source.Workspace (workspace.go). The folder looks like this:
//
//	lock                      held by the one server that uses the folder
//	home/                     git's HOME, always empty
//	mirrors/<repository>.git  what was fetched, kept reachable by refs/conveyor/<commit>
//	trees/<repository>/       laid out trees, one folder per commit; never written once they are there
//	mirrors/<repository>.deep.git  the whole history, where a plan asks for it
//	mirrors/<repository>.lfs  files in Git LFS, by their hash
//	added/<repository>-<hash> parts of workspaces besides a tree; emptied at start
//	work/<id>/                one folder per open workspace; emptied at start
package git

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/layers"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

// Options say where things are kept and where they come from.
type Options struct {
	Dir   string                     // a folder of this machine that no other server uses; created when missing
	URL   func(pipeline.Repo) string // where a repository is fetched from: https, or http where that is really meant; no credentials
	Owner Owner                      // whom trees and workspaces belong to
	Log   *slog.Logger               // nil: nothing is logged

	Trees   int           // laid out trees that are kept per repository; 0 means 32
	MaxTree int64         // bytes of one commit's files, laid out; 0 means 4 GiB. Compressed, a terabyte of zeros fetches in no time
	Timeout time.Duration // the longest a single fetch may take; 0 means 15 minutes
}

// Owner is a user and group of this machine by number. -1 leaves it as it is.
type Owner = layers.Owner

// Source implements source.Source. All methods may be called concurrently.
type Source struct {
	opts Options
	log  *slog.Logger
	git  program
	web  *http.Client // for files in Git LFS
	lay  layers.Layering
	lock *os.File

	packsBeforeTidy, commitsKept int // see tidy
	layersFrom                   int // files of a complete tree; below it another complete checkout is as quick as a layer

	mu    sync.Mutex
	repos map[int64]*repository
	open  map[string]*workspace // by id; an entry is there while its folder is
	spares
	closed bool

	preparing sync.WaitGroup // what is under way for spares
}

var _ source.Source = (*Source)(nil)

// New opens the folder, clears away what a crashed server left in it, and finds out how workspaces can be made here.
// It fails when git is missing or too old, and when another server uses the folder.
func New(opts Options) (*Source, error) {
	if opts.URL == nil {
		return nil, errors.New("source: no address for repositories was given")
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Trees <= 0 {
		opts.Trees = 32
	}
	if opts.MaxTree <= 0 {
		opts.MaxTree = 4 << 30
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 15 * time.Minute
	}
	var err error
	if opts.Dir, err = filepath.Abs(opts.Dir); err != nil {
		return nil, fmt.Errorf("source: find the folder %q: %w", opts.Dir, err)
	}
	if !opts.Owner.Unchanged() && os.Geteuid() != 0 && (opts.Owner.UID != os.Geteuid() && opts.Owner.UID >= 0) {
		return nil, fmt.Errorf("source: workspaces shall belong to user %d, but only root can give files away; run Conveyor as root or leave the owner unset", opts.Owner.UID)
	}
	s := &Source{opts: opts, log: opts.Log, web: newWeb(), repos: map[int64]*repository{}, open: map[string]*workspace{}, spares: spares{of: map[wanted]*workspace{}, life: 10 * time.Second},
		packsBeforeTidy: 100, commitsKept: 256, layersFrom: 400}
	if s.git, err = findProgram(s.path("home")); err != nil {
		return nil, err
	}
	if err := s.prepare(); err != nil {
		if s.lock != nil {
			_ = unlock(s.lock) // it may be another server's; the first error is the one that matters
		}
		return nil, err
	}
	s.log.Info("source ready", "git", s.git.version, "workspaces", s.lay.String())
	return s, nil
}

// prepare takes the folder for this server alone and brings it into a known state.
func (s *Source) prepare() error {
	// Others may pass through (the owner of a workspace must reach it), but not look around.
	if err := os.MkdirAll(s.opts.Dir, 0o711); err != nil {
		return fmt.Errorf("source: create its folder: %w", err)
	}
	real, err := filepath.EvalSymlinks(s.opts.Dir) // the kernel's list of mounts knows real paths only
	if err != nil {
		return fmt.Errorf("source: find its folder: %w", err)
	}
	s.opts.Dir = real
	s.git.home = s.path("home")
	if s.lock, err = os.OpenFile(s.path("lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return fmt.Errorf("source: open its lock: %w", err)
	}
	if err := lockAlone(s.lock, func() { time.Sleep(lockPause) }); err != nil {
		return fmt.Errorf("source: another server uses the folder %s; give each server its own: %w", s.opts.Dir, err)
	}
	if err := layers.UnmountBelow(s.opts.Dir); err != nil {
		return err
	}
	if err := layers.RemoveAll(s.path("work")); err != nil {
		return fmt.Errorf("source: clear the workspaces of an earlier server: %w", err)
	}
	if err := layers.RemoveAll(s.path("added")); err != nil {
		return fmt.Errorf("source: clear the parts of workspaces of an earlier server: %w", err)
	}
	if err := layers.RemoveAll(s.path("home")); err != nil {
		return fmt.Errorf("source: clear git's home: %w", err)
	}
	for name, mode := range map[string]os.FileMode{"home": 0o700, "mirrors": 0o700, "trees": 0o700, "added": 0o700, "work": 0o711} {
		if err := os.MkdirAll(s.path(name), mode); err != nil {
			return fmt.Errorf("source: create its folders: %w", err)
		}
		if err := os.Chmod(s.path(name), mode); err != nil { // whatever the umask says
			return fmt.Errorf("source: create its folders: %w", err)
		}
	}
	s.lay = layers.Probe(s.path("work", "probe"))
	return s.forgetUnsureTrees()
}

// Close removes the workspaces that are still open and frees the folder for another server. No other call may be
// under way. It may be repeated.
func (s *Source) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.preparing.Wait()
	s.mu.Lock()
	for key, w := range s.spares.of {
		w.unclaimed.Stop()
		delete(s.spares.of, key)
	}
	left := make([]*workspace, 0, len(s.open))
	for _, w := range s.open {
		left = append(left, w)
	}
	for _, r := range s.repos {
		r.objects.close()
	}
	s.mu.Unlock()
	s.web.CloseIdleConnections()
	var errs []error
	for _, w := range left {
		errs = append(errs, w.Close())
	}
	if err := unlock(s.lock); err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, syscall.EBADF) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// path is a path inside the source's folder.
func (s *Source) path(parts ...string) string {
	return filepath.Join(append([]string{s.opts.Dir}, parts...)...)
}

// repository is what is known of one repository: its mirror and its trees.
type repository struct {
	id       int64
	mirror   string // the bare repository's folder
	trees    string // the folder with its trees
	fetch    gate   // held while the mirror is written
	layout   gate   // held while a tree is laid out
	objects  reader // of the mirror
	memory   gate   // held while the mirror is looked through
	recalled atomic.Bool
	state    sync.Mutex
	known    map[pipeline.Commit]uint64 // the commits in the mirror, once recalled, with the moment of their last use
	moment   uint64                     // counts uses; orders them without a clock
	wanted   map[pipeline.Commit]int    // commits that are waited for, by how many
	alone    map[pipeline.Commit]bool   // those of them that are not fetched together with others
	kept     map[pipeline.Commit]*tree  // trees that are there; nil until they were looked for
	added    map[string]*addition       // what workspaces have besides trees, by what is in it

	adding, downloading, deepening gate // held while parts of workspaces are laid out, files in Git LFS fetched, the history used
}

// repository returns the one entry of a repository. It does not touch the disk.
func (s *Source) repository(repo pipeline.Repo) (*repository, error) {
	if repo.ID <= 0 {
		return nil, fmt.Errorf("source: a repository without a number (%d) has no mirror", repo.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[repo.ID]
	if r == nil {
		name := strconv.FormatInt(repo.ID, 10)
		r = &repository{
			id: repo.ID, mirror: s.path("mirrors", name+".git"), trees: s.path("trees", name),
			fetch: newGate(), layout: newGate(), memory: newGate(), known: map[pipeline.Commit]uint64{},
			added: map[string]*addition{}, adding: newGate(), downloading: newGate(), deepening: newGate(),
		}
		r.objects = reader{git: s.git, dir: r.mirror, turn: newGate()}
		s.repos[repo.ID] = r
	}
	return r, nil
}

// gate lets one through at a time; who waits can give up.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) leave() { <-g }
