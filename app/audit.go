package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/deploy/ledger"
)

const (
	auditLook  = time.Minute      // how often all repositories are looked at, should a hint have been lost
	auditGrace = 10 * time.Second // to tell the last things when the server ends
)

// auditor derives the ledger from the streams of repositories. Each server derives all of it, from the journal alone.
type auditor struct {
	app     *App
	mu      sync.Mutex
	streams map[string]*audited
}

// audited is a repository's stream as far as it was told.
type audited struct {
	state   deploy.State
	version int64
}

// audit keeps the ledger up to date until ctx ends, and once more then. A ledger that cannot be written is logged, and tried
// again; meanwhile nothing starts that someone has approved (onRecord).
func (a *App) audit(ctx context.Context) {
	t := a.auditor
	changed := a.journal.Changed(ctx)
	t.all(ctx)
	look := time.NewTicker(auditLook)
	defer look.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-look.C:
			t.all(ctx)
		case stream := <-changed:
			if strings.HasPrefix(stream, repoPrefix) {
				t.one(ctx, stream)
			}
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditGrace)
	defer cancel()
	t.all(last)
}

// repoPrefix is how the streams of repositories begin.
const repoPrefix = "repo/"

func (t *auditor) all(ctx context.Context) {
	streams, err := t.app.journal.Streams(ctx, repoPrefix, 1<<20)
	if err != nil && ctx.Err() == nil {
		t.app.log.Error("the audit ledger waits: the journal lists no streams", "err", err)
	}
	for _, stream := range streams {
		t.one(ctx, stream)
	}
}

func (t *auditor) one(ctx context.Context, stream string) {
	if err := t.tell(ctx, stream); err != nil && ctx.Err() == nil {
		t.app.log.Error("the audit ledger waits", "stream", stream, "err", err)
	}
}

// tell folds what is new in a stream, and adds to the ledger what it has done. Without an error all of it is durable there.
// What could not be added is folded anew.
func (t *auditor) tell(ctx context.Context, stream string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.streams[stream]
	if known == nil {
		known = &audited{}
	}
	records, err := t.app.journal.Read(ctx, stream, known.version)
	if err != nil || len(records) == 0 {
		return err
	}
	next := *known
	var told []ledger.Record
	for _, r := range records {
		e, err := deploy.Decode(r.Kind, r.Data)
		if err != nil {
			return fmt.Errorf("app: %s: %w", stream, err)
		}
		next.version = r.Version
		if e == nil {
			continue
		}
		before := next.state
		next.state = deploy.Apply(before, e)
		entries := deploy.Audit(before, next.state, e)
		for i := range entries {
			if entries[i].At.IsZero() {
				entries[i].At = r.At.UTC()
			}
		}
		if len(entries) > 0 {
			told = append(told, ledger.Record{Stream: stream, Version: r.Version, Repository: next.state.Repo, Entries: entries})
		}
	}
	if err := t.app.ledger.Append(told...); err != nil {
		return err
	}
	t.streams[stream] = &next
	return nil
}

// onRecord reports whether all that was said about what waits at a place is durable in the ledger, so that it may start. A
// ledger that cannot be written lets nothing in: the reason is shown, and it is tried again.
func (a *App) onRecord(ctx context.Context, w *repoWork, place deploy.Place) error {
	if len(place.Waiting.Approvals) == 0 {
		return nil // nobody has said anything
	}
	err := a.auditor.tell(ctx, w.Stream)
	if err == nil || ctx.Err() != nil {
		return err
	}
	reason := "nothing enters as long as the ledger cannot tell who approved it; the server's log says why"
	var file *fs.PathError
	if errors.As(err, &file) { // without its folder, which is nobody's business in a pull request
		reason = "nothing enters as long as the ledger cannot tell who approved it: " + quoted(filepath.Base(file.Path)+": "+file.Err.Error())
	}
	if now := w.Latest().Places[place.Name].Waiting; now != nil && now.Delayed != reason {
		if _, failed := w.Append(ctx, deploy.DeployDelayed{Environment: place.Name, Promotion: place.Waiting.ID, Reason: reason, At: a.now().UTC()}); failed != nil {
			err = errors.Join(err, failed)
		}
	}
	return fmt.Errorf("app: %s does not start: %w", place.Waiting.ID, err)
}
