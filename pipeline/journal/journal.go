// Package journal is the durable truth: append-only streams of records, the queue of streams that have work, and the
// leases under which they are worked on.
//
// One atomic write does it all: the dedupe key, the records and "this stream has work" become durable together or not
// at all. Versions and lease tokens are checked by the store, never by the caller's clock or memory.
//
// The package holds the contract. The adapters are memory, sqlite and redis; journaltest proves each of them.
package journal

import (
	"context"
	"errors"
	"time"
)

// What a store refuses, and the caller decides on.
var (
	ErrConflict  = errors.New("journal: the stream has moved on")           // Expect did not match
	ErrDuplicate = errors.New("journal: this key is already in the stream") // a Key was appended before
	ErrLeaseLost = errors.New("journal: the lease belongs to someone else") // Token is not the stream's newest
	ErrNoWork    = errors.New("journal: no stream has work that is free now")
)

// Any as Batch.Expect appends at whatever version the stream has. None demands that the stream does not exist.
const (
	Any  int64 = -1
	None int64 = 0
)

// Record is one fact of a stream, as stored.
type Record struct {
	Version int64     // 1 for the stream's first record, without gaps
	Kind    string    // a word that is never renamed; readers skip kinds they do not know
	Key     string    // dedupe key within the stream, or empty
	At      time.Time // when it was appended, by the caller's clock, in UTC, to the microsecond
	Data    []byte    // opaque to the store
}

// Batch is what one append writes, whole or not at all.
type Batch struct {
	Stream  string
	Expect  int64    // the version the caller has seen, or Any, or None
	Token   int64    // the lease's fencing token, or 0 for a writer that holds no lease
	Records []Record // Version is ignored: the store gives it
}

// Lease is the right to work on one stream until Expires, and to append with its token until someone else leases it.
type Lease struct {
	Stream  string
	Token   int64 // rises with every lease of this stream; a lower token is refused for ever
	Expires time.Time
}

// Journal is the store. All methods may be called concurrently, from many processes.
type Journal interface {
	// Append writes the batch, marks the stream as having work, and returns its new version. When it returns nil the
	// records survive a power cut. ErrConflict, ErrDuplicate and ErrLeaseLost write nothing. After any other error the
	// batch may or may not be written; repeating it with the same Expect or Keys is safe.
	Append(ctx context.Context, b Batch) (int64, error)

	// Read returns the records after a version, in order; 0 reads from the start. A stream that does not exist is empty.
	Read(ctx context.Context, stream string, after int64) ([]Record, error)

	// Lease takes a stream that has work and is free, the longest-waiting first: one that was never leased since its
	// last work mark, whose wake time has come, or whose holder let the lease run out. ErrNoWork when there is none.
	// Only streams that start with one of the prefixes are taken; no prefixes means all streams.
	Lease(ctx context.Context, ttl time.Duration, prefixes ...string) (Lease, error)

	// Renew pushes the expiry of every lease given. Those that were lost are returned; they are not an error.
	Renew(ctx context.Context, ttl time.Duration, leases ...Lease) (lost []Lease, err error)

	// Release ends a lease. The stream keeps its work mark when records after version seen were appended; otherwise it
	// rests until the next append or until wake, when wake is not zero. A lost lease is ErrLeaseLost.
	Release(ctx context.Context, l Lease, seen int64, wake time.Time) error

	// Park ends a lease like Release, of a stream that has work and no worker to do it. It keeps its work mark, but Lease
	// does not take it until it is appended to again: LeaseParked does. since is its right to the next worker, a time that has
	// passed. From wake on, when it is not zero, the stream is parked no more: Lease takes it, as one that waits since then.
	Park(ctx context.Context, l Lease, seen int64, since, wake time.Time) error

	// LeaseParked is Lease for parked streams: the one with the earliest since comes first, wherever it was parked. Only
	// those with a since before the time given are taken; the zero time sets no bound.
	LeaseParked(ctx context.Context, ttl time.Duration, before time.Time, prefixes ...string) (Lease, error)

	// Changed returns a channel that receives the name of each stream appended to, by any process, so that holders can
	// re-read and idle workers can lease. It is a hint: names may be dropped or repeated, never needed for correctness.
	// The channel is closed when ctx ends.
	Changed(ctx context.Context) <-chan string

	// Streams lists the names that start with prefix, the most recently appended first, at most limit.
	Streams(ctx context.Context, prefix string, limit int) ([]string, error)

	// Depth counts the streams that have work, leased, parked or neither, and tells the age of the longest-waiting one.
	Depth(ctx context.Context) (waiting int, oldest time.Duration, err error)

	// Forget removes the resting streams with this prefix whose last append is older than before, at most limit, and
	// returns how many. Their dedupe keys go with them.
	Forget(ctx context.Context, prefix string, before time.Time, limit int) (int, error)

	// Ready tells, with a sentence for the operator, why the store cannot make a write durable right now.
	Ready(ctx context.Context) error

	Close() error
}
