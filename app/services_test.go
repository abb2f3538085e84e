package app

import (
	"slices"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/image"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
)

func TestAServiceIsItsImageAndWhatThePlanSaysInItsPlace(t *testing.T) {
	t.Parallel()
	held := image.Held{Layers: []string{"/layer"}, Env: []string{"A=image"}, Program: image.Program{Entrypoint: []string{"entry"}, Command: []string{"run"}, User: "redis", Dir: "/data"}}
	plain := serviceOf(pipeline.Service{Name: "cache", Image: "redis:7", Ready: pipeline.Ready{Port: 6379, Timeout: pipeline.Duration(time.Second)}}, held)
	if !slices.Equal(plain.Command, []string{"entry", "run"}) || plain.User != "redis" || plain.Dir != "/data" || plain.Root.Name != "redis:7" || plain.Root.Layers[0] != "/layer" ||
		plain.Root.Env[0] != "A=image" || plain.Ready.Port != 6379 || plain.Ready.Timeout != time.Second || plain.Env != nil {
		t.Errorf("%+v", plain)
	}
	own := serviceOf(pipeline.Service{
		Name: "cache", Image: "redis:7", Command: []string{"--save", ""}, User: "0", Env: map[string]string{"B": "2", "A": "1"},
		Ready: pipeline.Ready{Command: []string{"redis-cli"}}, Limits: pipeline.Resources{Memory: 1 << 20, CPUs: 2, PIDs: 3},
	}, held)
	if !slices.Equal(own.Command, []string{"entry", "--save", ""}) || own.User != "0" || !slices.Equal(own.Env, []string{"A=1", "B=2"}) ||
		!slices.Equal(own.Ready.Command, []string{"redis-cli"}) || own.Limits != (sandbox.Limits{Memory: 1 << 20, CPUs: 2, PIDs: 3}) {
		t.Errorf("%+v", own)
	}
	if !slices.Equal(held.Program.Entrypoint, []string{"entry"}) {
		t.Error("the image was changed")
	}
}

func TestAStepThatAServiceKeptFromBeginningHasFailedByItself(t *testing.T) {
	t.Parallel()
	r := judge(sandbox.Service{Name: "db"}.Unready("ended"), pipeline.Step{Shell: []string{"python3"}})
	if r.Outcome != pipeline.Failed || r.Reason != "the service db ended" {
		t.Errorf("%+v", r)
	}
}
