package deploy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

func TestOneWhoCommandsWithoutEndIsAnsweredOnceAndHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	s := fold(deploy.State{}, defined(), pull('a', 0))
	asks := func(s deploy.State, id string, who pipeline.Actor, second int) deploy.State {
		e := say(id, who, deploy.Approve, "production", second).(deploy.Commanded)
		e.Counted = true
		return deploy.Apply(s, e)
	}
	for i := range deploy.MostCommands + 40 {
		s = asks(s, fmt.Sprintf("c%03d", i), lena, 20+i)
	}
	if n := len(s.Commands); n != deploy.MostCommands+1 {
		t.Errorf("%d commands are owed an answer", n)
	}
	over := s.Commands[fmt.Sprintf("c%03d", deploy.MostCommands)]
	s = deploy.Apply(s, role(over.Command.ID, pipeline.Read, 200))
	if got := s.Commands[over.Command.ID]; !got.Refused || !strings.Contains(got.Say, "@lena has given 60 commands here within 10 minutes. The next one is taken after 2 Nov 12:10 UTC.") {
		t.Errorf("the first one too many is answered with %q", got.Say)
	}
	if other := asks(s, "d", hubot, 130); len(other.Commands) != len(s.Commands)+1 {
		t.Error("someone else is not heard")
	}
	later := asks(s, "e", lena, 20+601)
	if got := later.Commands["e"]; got.Command.ID == "" || got.Command.Problem != "" {
		t.Errorf("after that time a command is %+v", got.Command)
	}
	uncounted := s
	for i := range 200 {
		uncounted = deploy.Apply(uncounted, say(fmt.Sprintf("u%03d", i), mona, deploy.Help, "", 300))
	}
	if n := len(uncounted.Commands) - len(s.Commands); n != 200 {
		t.Errorf("of a journal of before, %d of 200 commands are heard", n)
	}
}
