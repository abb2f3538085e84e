package memory_test

import (
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/artifacttest"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/memory"
)

func TestTheMemoryStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	artifacttest.Run(t, func(testing.TB) artifact.Store { return memory.New() })
}
