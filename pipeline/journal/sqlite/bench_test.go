package sqlite_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
)

// One delivery each: a stream of its own, a key, 21 KB; durable when it returns.
func BenchmarkAppend64(b *testing.B) { benchmark(b, 64) }

// One writer alone: its time per operation is the latency of a durable append.
func BenchmarkAppend1(b *testing.B) { benchmark(b, 1) }

func benchmark(b *testing.B, writers int) {
	j := open(b, filepath.Join(b.TempDir(), "journal.db"), time.Now)
	data := make([]byte, 21<<10)
	var n atomic.Int64
	if writers > 1 {
		b.SetParallelism(writers / runtime.GOMAXPROCS(0))
	} else {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
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
