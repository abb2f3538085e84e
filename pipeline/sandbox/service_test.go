package sandbox_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

func TestAServiceHasTheVariablesOfItsImageAndOfThePlan(t *testing.T) {
	t.Parallel()
	v := sandbox.Service{Name: "db", Root: &sandbox.Root{Env: []string{"PATH=/image", "HOME=/nowhere", "A=image", "B=image"}}, Env: []string{"B=plan"}}
	if got := v.Environ("/var/db", false, nil); !slices.Equal(got, []string{"PATH=/image", "HOME=/var/db", "A=image", "B=plan"}) {
		t.Errorf("got %q", got)
	}
	with := v.Environ("/", true, []sandbox.Service{v, {Name: "queue"}})
	if !slices.Contains(with, "http_proxy=http://"+sandbox.ProxyAddress) || !slices.Contains(with, "no_proxy=localhost,127.0.0.1,::1,db,queue") {
		t.Errorf("got %q", with)
	}
}

func TestAServiceThatIsNotReadySaysWhatWasWaitedFor(t *testing.T) {
	t.Parallel()
	v := sandbox.Service{Name: "db", Ready: sandbox.Ready{Port: 5432}}
	if got := v.NotReady(); got.Outcome != sandbox.Unready || got.Passed() || got.Reason != "the service db was not ready within 1m0s: nothing listened on its port 5432" {
		t.Errorf("%+v", got)
	}
	v.Ready = sandbox.Ready{Command: []string{"pg_isready"}, Timeout: 5 * time.Second}
	if got := v.NotReady().Reason; !strings.HasSuffix(got, "within 5s: its ready command did not pass") {
		t.Error(got)
	}
}
