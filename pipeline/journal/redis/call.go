package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	client "github.com/redis/go-redis/v9"
)

// call is one run of a script.
type call struct {
	keys []string
	args []any
}

// each runs a script several times in one round trip. The runs are atomic one by one, not together. A server that does
// not know the script (a new one, or one that was restarted) is given it, and all runs are repeated: those that are
// used here may be.
func (j *Journal) each(ctx context.Context, script *client.Script, calls []call) ([]*client.Cmd, error) {
	answers := make([]*client.Cmd, len(calls))
	run := func() error {
		_, err := j.client.Pipelined(ctx, func(p client.Pipeliner) error {
			for i, c := range calls {
				answers[i] = p.EvalSha(ctx, script.Hash(), c.keys, c.args...)
			}
			return nil
		})
		return err
	}
	err := run()
	if client.HasErrorPrefix(err, "NOSCRIPT") || errors.Is(err, client.ErrNoScript) {
		if err := script.Load(ctx, j.client).Err(); err != nil {
			return nil, err
		}
		err = run()
	}
	return answers, err
}

// record turns an entry of a Redis stream into a record.
func record(e client.XMessage) (r journal.Record, err error) {
	if r.Version, err = version(e.ID); err != nil {
		return r, err
	}
	field := func(name string) string {
		s, here := e.Values[name].(string)
		if !here {
			err = fmt.Errorf("the field %s is missing", name)
		}
		return s
	}
	r.Kind, r.Key, r.Data = field("kind"), field("key"), []byte(field("data"))
	at := field("at")
	if err != nil {
		return r, err
	}
	micros, err := strconv.ParseInt(at, 10, 64)
	r.At = time.UnixMicro(micros).UTC()
	return r, err
}

// version reads the id of an entry, which is <version>-0.
func version(id string) (int64, error) {
	const end = "-0"
	if len(id) <= len(end) || id[len(id)-len(end):] != end {
		return 0, fmt.Errorf("the id %s is not ours", id)
	}
	return strconv.ParseInt(id[:len(id)-len(end)], 10, 64)
}
