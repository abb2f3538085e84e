// Package redis is the journal of many machines: one Redis 7 primary that syncs its append-only file at every write.
//
// Each write operation is one Lua script, and so one atomic, durable step. The scripts stand beside this file; each
// says its keys and arguments. The client sends a script again when its answer was lost, so every script knows its own
// repetition. It never relies on replicas: an asynchronous replica that takes over has lost acknowledged writes.
//
// Times are the callers' clocks, passed in. A worker whose clock is ahead may take a lease too early; that costs work
// done twice and nothing else, because the token, which the store counts, fences off the other. In return a test can
// move the time, and the order of waiting does not depend on the server's clock after a restart.
//
// The store is spread over 16 hash slots by stream name, each with its queue. A lease first looks at all of them, in
// one round trip, and takes the stream that has waited longest; only when other workers take it first may a stream be
// leased before one that has waited a little longer.
//
// Start reading at Open; settings.go is what it refuses.
package redis

import (
	"context"
	"crypto/rand"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	client "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Options say which Redis, and which part of it.
type Options struct {
	URL      string // redis://host:6379/0, rediss:// for TLS, or unix:///path; a password in it is taken, and never shown
	Username string // instead of the one in the URL
	Password string // instead of the one in the URL
	Prefix   string // what all keys start with, to share a Redis; "conveyor" when empty

	// AcceptLoss starts on a Redis that does not sync at every write. Acknowledged records may then be lost.
	AcceptLoss bool
}

// String leaves out everything that may hold a secret.
func (o Options) String() string { return fmt.Sprintf("Redis journal, prefix %q", o.Prefix) }

// Journal is a journal.Journal in Redis. Make one with Open.
type Journal struct {
	options Options
	prefix  string
	channel string // where names of changed streams are published
	now     func() time.Time
	client  *client.Client
	hints   journal.Hints

	once    sync.Once
	changes *client.PubSub
	done    chan struct{} // closed when the listening goroutine has ended
}

var _ journal.Journal = (*Journal)(nil)

// Open connects, and refuses a Redis that could lose what it acknowledged. The time is read from now.
func Open(ctx context.Context, o Options, now func() time.Time) (*Journal, error) {
	settings, err := o.client()
	if err != nil {
		return nil, err
	}
	logging.Disable() // the driver would print to stderr, for the whole process, what the calls return as errors
	j := &Journal{options: o, prefix: o.Prefix, now: now, client: client.NewClient(settings), done: make(chan struct{})}
	if j.prefix == "" {
		j.prefix = "conveyor"
	}
	j.channel = j.prefix + ":changed"
	if err := j.durable(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("journal: open Redis at %s: %w", settings.Addr, explain(err)), j.client.Close())
	}
	j.changes = j.client.Subscribe(ctx, j.channel)
	if _, err := j.changes.Receive(ctx); err != nil { // until here an append could be missed
		return nil, errors.Join(fmt.Errorf("journal: subscribe to %s: %w", j.channel, explain(err)), j.changes.Close(), j.client.Close())
	}
	go j.listening()
	return j, nil
}

// client turns the options into the driver's. Its errors never repeat the URL, which may hold a password.
func (o Options) client() (*client.Options, error) {
	c, err := client.ParseURL(o.URL)
	if err != nil {
		return nil, errors.New("journal: the Redis URL is not understood; it looks like redis://host:6379/0, rediss://host:6379/0 or unix:///path/to/socket")
	}
	if o.Username != "" {
		c.Username = o.Username
	}
	if o.Password != "" {
		c.Password = o.Password
	}
	c.ContextTimeoutEnabled = true
	c.DialTimeout = 2 * time.Second
	c.DialerRetries = 1 // the commands are retried, which is enough
	c.ReadTimeout = 3 * time.Second
	c.WriteTimeout = 3 * time.Second
	c.MaxRetries = 2
	c.MinRetryBackoff = 10 * time.Millisecond
	c.MaxRetryBackoff = 200 * time.Millisecond
	c.PoolSize = 64 // Redis groups the syncs of one turn of its loop: many connections make large groups
	c.PipelinePoolSize = -1
	c.ConnMaxIdleTime = time.Minute
	c.DisableIdentity = true
	c.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return c, nil
}

// listening passes on what other processes, and this one, append. The driver subscribes again after a lost connection.
func (j *Journal) listening() {
	defer close(j.done)
	for m := range j.changes.Channel(client.WithChannelHealthCheckInterval(10 * time.Second)) {
		j.hints.Tell(m.Payload)
	}
}

// Changed implements journal.Journal.
func (j *Journal) Changed(ctx context.Context) <-chan string { return j.hints.Listen(ctx) }

// Close implements journal.Journal.
func (j *Journal) Close() (err error) {
	j.once.Do(func() {
		err = errors.Join(j.changes.Close(), j.client.Close())
		<-j.done
		j.hints.Close()
	})
	if err != nil {
		return fmt.Errorf("journal: close the Redis connections: %w", err)
	}
	return nil
}

// operation is a fresh id under which a script knows its own repetition.
func operation() string { return rand.Text() }
