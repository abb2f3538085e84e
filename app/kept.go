package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/redis"
	"github.com/conveyor-ci/conveyor/pipeline/journal/sqlite"
)

// Kept is what a server has kept in its journal, to be looked at. It can only be read: of a file a copy is made first, and of
// a Redis nothing is asked for but to read.
type Kept struct {
	where   string
	journal interface {
		Streams(ctx context.Context, prefix string, limit int) ([]string, error)
		Read(ctx context.Context, stream string, after int64) ([]journal.Record, error)
		Close() error
	}
}

// Stream is one stream of a journal.
type Stream struct {
	Name    string
	Records []journal.Record
}

// OpenKept opens the journal of a server, which may be running: the one at a Redis address, or else the one in a data folder.
// The copy of a file is put into scratch.
func OpenKept(ctx context.Context, dataDir string, address github.Secret, scratch string) (*Kept, error) {
	if url := address.Reveal(); url != "" {
		j, err := redis.Open(ctx, redis.Options{URL: url, AcceptLoss: true}, time.Now) // nothing is kept there that could be lost
		if err != nil {
			return nil, fmt.Errorf("app: %w", err)
		}
		return &Kept{where: "Redis", journal: j}, nil
	}
	file := filepath.Join(dataDir, "journal.db")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no journal of a server; name its folder with --data-dir, or give a file with the payload", dataDir)
	}
	own := filepath.Join(scratch, "copy.db")
	if err := sqlite.Copy(ctx, file, own); err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	j, err := sqlite.Open(ctx, own, time.Now)
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	return &Kept{where: dataDir, journal: j}, nil
}

// Close ends it.
func (k *Kept) Close() error { return k.journal.Close() }

// Webhook looks for a delivery.
func (k *Kept) Webhook(ctx context.Context, guid string) (Webhook, error) {
	names, err := k.journal.Streams(ctx, "delivery/", math.MaxInt32)
	if err != nil {
		return Webhook{}, fmt.Errorf("app: %w", err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, "/"+guid) {
			continue
		}
		records, err := k.journal.Read(ctx, name, 0)
		if err != nil {
			return Webhook{}, fmt.Errorf("app: read %s: %w", name, err)
		}
		for _, r := range records {
			e, err := decodeDelivery(r.Kind, r.Data)
			if err != nil {
				return Webhook{}, err
			}
			if got, ok := e.(received); ok {
				return Webhook{GUID: got.delivery.GUID, Event: got.delivery.Event, Body: got.delivery.Body, At: got.delivery.ReceivedAt}, nil
			}
		}
	}
	return Webhook{}, fmt.Errorf("the journal in %s knows no delivery %s; deliveries are remembered for %d days", k.where, guid, int(deliveryMemory.Hours()/24))
}

// History is what was kept of a repository and its runs before a moment; the zero moment is now. What a delivery has done
// is not part of the history in which it arrived.
func (k *Kept) History(ctx context.Context, repo int64, before time.Time) (all []Stream, err error) {
	names := []string{repoStream(repo)}
	runs, err := k.journal.Streams(ctx, fmt.Sprintf("run/%d/", repo), math.MaxInt32)
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	for _, name := range append(names, runs...) {
		records, err := k.journal.Read(ctx, name, 0)
		if err != nil {
			return nil, fmt.Errorf("app: read %s: %w", name, err)
		}
		for i, r := range records {
			if !before.IsZero() && !r.At.Before(before) {
				records = records[:i]
				break
			}
		}
		if len(records) > 0 {
			all = append(all, Stream{name, records})
		}
	}
	return all, nil
}

// RepoOf is the repository's state in a history.
func RepoOf(history []Stream) (s deploy.State, err error) {
	for _, stream := range history {
		if !strings.HasPrefix(stream.Name, repoPrefix) {
			continue
		}
		for _, r := range stream.Records {
			e, err := deploy.Decode(r.Kind, r.Data)
			if err != nil {
				return s, fmt.Errorf("app: %s record %d: %w", stream.Name, r.Version, err)
			}
			if e != nil {
				s = deploy.Apply(s, e)
			}
		}
	}
	return s, nil
}

// Restore puts a history into the empty journal of a server with Config.Rehearsal, before it runs.
func (a *App) Restore(ctx context.Context, history []Stream) error {
	if !a.config.Rehearsal {
		return errors.New("app: only a rehearsal takes up the history of another server")
	}
	for _, stream := range history {
		if _, err := a.journal.Append(ctx, journal.Batch{Stream: stream.Name, Expect: journal.None, Records: stream.Records}); err != nil {
			return fmt.Errorf("app: take up %s: %w", stream.Name, err)
		}
	}
	return nil
}
