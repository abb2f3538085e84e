package logs_test

import (
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

func TestWordsThatGoElsewhereAreMaskedAsInALog(t *testing.T) {
	t.Parallel()
	words := logs.NewWords([]string{"canary-4711", "other/secret"})
	for text, want := range map[string]string{
		"": "", "nothing": "nothing", "canary-4711": "***", "a canary-4711 b other/secret c": "a *** b *** c",
		"canary-471": "canary-471", "in base64: Y2FuYXJ5LTQ3MTE=": "in base64: ***", "other%2Fsecret": "***",
	} {
		if got := words.Masked(text); got != want {
			t.Errorf("%q became %q, and not %q", text, got, want)
		}
	}
	if got := (logs.Words{}).Masked("canary-4711"); got != "canary-4711" {
		t.Errorf("%q", got)
	}
}
