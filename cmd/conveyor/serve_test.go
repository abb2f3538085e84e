package main

import (
	"testing"
	"time"
)

func TestWhatIsSaidOfLogsAndAnalysesReachesTheServer(t *testing.T) {
	t.Parallel()
	s := settings{DataDir: t.TempDir(), CodeScanning: true, KeepLogs: time.Hour, KeepLogsMB: 3}
	c, err := s.config(func(string) string { return "" })
	if err != nil || !c.CodeScanning || c.KeepLogs != time.Hour || c.KeepLogsBytes != 3<<20 {
		t.Errorf("%v: scanning %v, logs for %s and %d bytes", err, c.CodeScanning, c.KeepLogs, c.KeepLogsBytes)
	}
}

func TestALogIsChosenByStepAndAttempt(t *testing.T) {
	t.Parallel()
	all := []attempt{{"unit", 1, true}, {"unit", 2, true}, {"lint", 1, false}}
	for step, want := range map[string]string{"": "unit/2 lint/1 ", "unit": "unit/2 ", "unit/1": "unit/1 ", "lint": "lint/1 ", "unit/3": "", "un": ""} {
		got := ""
		for _, a := range choose(all, step) {
			got += a.String() + " "
		}
		if got != want {
			t.Errorf("%q chooses %q, want %q", step, got, want)
		}
	}
}
