package redisserver

import "testing"

func TestAServerComesBackAfterAKill(t *testing.T) {
	t.Parallel()
	s := Start(t)
	s.Kill()
	if s.answers() {
		t.Fatal("a killed server answers")
	}
	s.Restart()
	if !s.answers() {
		t.Fatal("a restarted server does not answer")
	}
}

func TestAServerWithAPasswordIsAwaitedToo(t *testing.T) {
	t.Parallel()
	if s := Start(t, "--requirepass", "secret"); !s.answers() {
		t.Fatal("no answer")
	}
}
