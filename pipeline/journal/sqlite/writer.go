package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

const (
	groupSize  = 256                    // at most so many writes share a transaction
	groupBytes = 4 << 20                // and about so many bytes, so that they fit into the page cache
	lookAround = 200 * time.Millisecond // how often another process's appends are looked for
)

// write is one call's part of a transaction.
type write struct {
	run   func(*transaction) error // may run again in a second transaction, after the first was rolled back
	bytes int
	err   error
	done  chan struct{}
}

// submit has the writing goroutine run one write in a transaction, and returns once that is durable. Before the write
// is taken, ctx ends the wait and nothing is written; afterwards the true answer is at most a transaction away.
func (j *Journal) submit(ctx context.Context, bytes int, run func(*transaction) error) error {
	w := &write{run: run, bytes: bytes, done: make(chan struct{})}
	if err := ctx.Err(); err != nil { // select would pick at random
		return fmt.Errorf("journal: %w", err)
	}
	select {
	case j.queue <- w:
		<-w.done
	case <-ctx.Done():
		return fmt.Errorf("journal: %w", ctx.Err())
	case <-j.stop:
		return errClosed
	}
	if w.err != nil && !refused(w.err) {
		return fmt.Errorf("journal: write %s: %w", j.path, explain(w.err))
	}
	return w.err
}

// writing is the goroutine that owns the connection.
func (j *Journal) writing(t *transaction) {
	defer close(j.done)
	defer t.conn.Close()
	defer t.close()
	look := time.NewTicker(lookAround)
	defer look.Stop()
	for {
		select {
		case w := <-j.queue:
			j.commit(t, j.gather(w))
			t.wrote(&j.checkpointer)
		case could := <-j.checkpointer.ask:
			could <- t.beginAgain()
		case <-look.C:
			if j.hints.Heard() {
				j.hints.Tell(t.elsewhere()...)
			}
		case <-j.stop:
			return
		}
	}
}

// gather takes everything that waits right now. It never waits for more: while one group commits, the next one forms.
func (j *Journal) gather(first *write) []*write {
	group, bytes := []*write{first}, first.bytes
	for len(group) < groupSize && bytes < groupBytes {
		select {
		case w := <-j.queue:
			group, bytes = append(group, w), bytes+w.bytes
		default:
			return group
		}
	}
	return group
}

// commit answers every write of the group. When the store fails under a group, each write gets a transaction of its
// own, so that one that is too big for the disk does not spoil the others.
func (j *Journal) commit(t *transaction, group []*write) {
	began, err := t.run(group)
	if err != nil && began && len(group) > 1 {
		for i := range group {
			j.commit(t, group[i:i+1])
		}
		return
	}
	for _, w := range group {
		if err != nil {
			w.err = err
		}
		close(w.done)
	}
	if err == nil {
		j.hints.Tell(t.touched...)
	}
}

// transaction is the writer's connection with its statements, and what the transaction under way has done so far.
type transaction struct {
	ctx        context.Context // never ends; see Open
	conn       *sql.Conn
	statements statements

	token, changed int64    // the counters, as the file will have them
	touched        []string // streams appended to
	pages          int      // that went into the -wal file since the checkpointer was told
	told           int64    // the last change of which other processes' appends were looked for
}

// run commits what the writes want, or nothing. Refusals are put into the write and do no harm to the others.
func (t *transaction) run(group []*write) (began bool, err error) {
	s := &t.statements
	if err := t.begin(); err != nil {
		return false, err
	}
	defer func() {
		if err != nil {
			_, _ = s.rollback.ExecContext(t.ctx) // SQLite may have rolled back itself
		}
	}()
	t.touched = t.touched[:0]
	if err := s.counter.QueryRowContext(t.ctx).Scan(&t.token, &t.changed); err != nil {
		return true, err
	}
	token, changed := t.token, t.changed
	for _, w := range group {
		if w.err = w.run(t); w.err != nil && !refused(w.err) {
			return true, w.err
		}
	}
	if t.token != token || t.changed != changed {
		if _, err := s.count.ExecContext(t.ctx, t.token, t.changed); err != nil {
			return true, err
		}
	}
	if _, err := s.commit.ExecContext(t.ctx); err != nil {
		return true, err
	}
	if t.told == changed { // nobody else appended in between
		t.told = t.changed
	}
	return true, nil
}

// begin takes the file's write lock, and waits up to about five seconds while another process holds it. SQLite's own
// wait looks ever more rarely, and hardly ever finds the lock free between two commits of a busy process.
func (t *transaction) begin() error {
	for tries := 0; ; tries++ {
		_, err := t.statements.begin.ExecContext(t.ctx)
		if !busy(err) || tries == 5000 {
			return err
		}
		<-time.After(time.Millisecond)
	}
}

// elsewhere returns the streams other processes have appended to since the last look; some of our own may be among
// them. It reads one row of one page when there is nothing new. A failure is left to the next write to tell.
func (t *transaction) elsewhere() []string {
	var token, changed int64
	if err := t.statements.counter.QueryRowContext(t.ctx).Scan(&token, &changed); err != nil || changed == t.told {
		return nil
	}
	rows, err := t.statements.news.QueryContext(t.ctx, t.told)
	if err != nil {
		return nil
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if rows.Scan(&name) != nil {
			return names
		}
		names = append(names, name)
	}
	t.told = changed
	return names
}

// Ready implements journal.Journal: it makes a real write durable, one that is bigger than most deliveries. A small one
// would still find room in the -wal file when the disk is full. It costs what three appends cost.
func (j *Journal) Ready(ctx context.Context) error {
	return j.submit(ctx, 0, func(t *transaction) error {
		_, err := t.statements.probe.ExecContext(t.ctx)
		return err
	})
}
