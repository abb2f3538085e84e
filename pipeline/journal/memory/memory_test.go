package memory_test

import (
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/journaltest"
	"github.com/conveyor-ci/conveyor/pipeline/journal/memory"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, func(_ testing.TB, now func() time.Time) journal.Journal { return memory.New(now) })
}
