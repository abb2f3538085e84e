package redis

import (
	"hash/fnv"
	"strconv"
)

// shards is how many hash slots a store is spread over. It is part of the stored form: another number would look for
// streams where they are not.
const shards = 16

// shard is the prefix of all keys of one shard. The part in braces is what Redis hashes, so a stream and the queue it
// waits in are in one slot, and one script may change both.
type shard string

func (j *Journal) shard(i int) shard {
	return shard("{" + j.prefix + ":" + strconv.Itoa(i) + "}:")
}

func (j *Journal) shardOf(stream string) shard {
	h := fnv.New32a()
	_, _ = h.Write([]byte(stream))
	return j.shard(int(h.Sum32() % shards))
}

func (s shard) queue() string             { return string(s) + "queue" }        // sorted set: name → may be leased from; see parked
func (s shard) leases() string            { return string(s) + "leases" }       // sorted set: name → expires
func (s shard) wakes() string             { return string(s) + "wakes" }        // sorted set: name of what is parked → until when
func (s shard) names() string             { return string(s) + "names" }        // sorted set: name → last append
func (s shard) token() string             { return string(s) + "token" }        // the shard's newest lease token
func (s shard) streams() string           { return string(s) + "stream:" }      // what keys of streams start with
func (s shard) stream(name string) string { return s.streams() + name }         // hash: version, token
func (s shard) records(n string) string   { return string(s) + "records:" + n } // stream: <version>-0 → kind key at data
func (s shard) keys(name string) string   { return string(s) + "keys:" + name } // set: dedupe keys
func (s shard) ops(name string) string    { return string(s) + "ops:" + name }  // sorted set: operation id → version
func (s shard) op(id string) string       { return string(s) + "op:" + id }     // hash: what a lease operation took
func (s shard) ready() string             { return string(s) + "ready" }        // string: what Ready writes
