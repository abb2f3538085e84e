package targettest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/deploy/target"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// patience is how long the suite waits for something that has to happen, before it calls it broken.
const patience = 20 * time.Second

func theHighestTokenWins(t *testing.T, b *bench) {
	const many = 8
	var all sync.WaitGroup
	errs := make([]error, many+1)
	for n := 1; n <= many; n++ {
		adapter := b.Open() // each as a server of its own
		all.Go(func() { errs[n] = adapter.Deploy(t.Context(), b.Deployment("staging", n, int64(n)), Site(n).Files) })
	}
	all.Wait()
	if errs[many] != nil {
		t.Fatalf("the deployment with the highest token: %v", errs[many])
	}
	for n := 1; n < many; n++ {
		if errs[n] != nil && !errors.Is(errs[n], target.ErrFenced) {
			t.Errorf("token %d: %v, want nil or ErrFenced", n, errs[n])
		}
	}
	b.serves(t, "staging", many)
}

// aNewerOvertakesOneThatIsStuck has a server hang while it lays files out. The next one must neither wait for it nor be
// undone by it when it wakes up.
func aNewerOvertakesOneThatIsStuck(t *testing.T, b *bench) {
	b.deploy(t, "staging", 1, 1)
	stuck, wake := make(chan struct{}), make(chan struct{})
	late := make(chan error, 1)
	old := b.Open()
	go func() {
		late <- old.Deploy(t.Context(), b.Deployment("staging", 2, 2), func(ctx context.Context, digest pipeline.Digest, dir string) error {
			close(stuck)
			<-wake
			return Site(2).Files(ctx, digest, dir)
		})
	}()
	<-stuck
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := b.Deploy(ctx, b.Deployment("staging", 3, 3), Site(3).Files)
	close(wake)
	stale := <-late
	if err != nil {
		t.Fatalf("the newer deployment: %v", err)
	}
	fenced(t, "the one that woke up", stale)
	b.serves(t, "staging", 3)
}

func theSameDeploymentTwiceAtOnce(t *testing.T, b *bench) {
	var all sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		adapter := b.Open()
		all.Go(func() { errs[i] = adapter.Deploy(t.Context(), b.Deployment("staging", 1, 1), Site(1).Files) })
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("attempt %d: %v", i, err)
		}
	}
	b.serves(t, "staging", 1)
}
