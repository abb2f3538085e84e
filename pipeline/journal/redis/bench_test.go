package redis_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/redis"
	"github.com/conveyor-ci/conveyor/test/redisserver"
)

// One delivery each from 64 writers: a stream of its own, a key, 21 KB; durable when it returns.
func BenchmarkAppend64(b *testing.B) {
	j := open(b, redis.Options{URL: redisserver.Start(b).URL()}, time.Now)
	data := make([]byte, 21<<10)
	var n atomic.Int64
	b.SetParallelism(64 / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			_, err := j.Append(b.Context(), journal.Batch{
				Stream: fmt.Sprintf("delivery/%x-%d", i*2654435761%1000003, i), Expect: journal.None,
				Records: []journal.Record{{Kind: "Received", Key: fmt.Sprint(i), Data: data}},
			})
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}
