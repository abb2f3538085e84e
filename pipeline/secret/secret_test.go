package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

func TestAValueIsShownByNoWayOfPrinting(t *testing.T) {
	t.Parallel()
	const word = "hunter2-hunter2"
	for _, v := range []any{secret.New(word), secret.Given{Name: "X", Value: secret.New(word)}, []secret.Given{{Value: secret.New(word)}}} {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		encoded, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		shown := fmt.Sprintf("%v %+v %#v %s %q %x %d", v, v, v, v, v, v, v) + log.String() + string(encoded)
		if strings.Contains(shown, word) || strings.Contains(shown, fmt.Sprintf("%x", word)) {
			t.Errorf("%T is shown: %s", v, shown)
		}
	}
}

func TestNamesHaveNoPathParts(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", ".", "..", "../x", "a/b", "a\\b", "/etc", "a\x00", "a\n", "-x", " ", "ä", strings.Repeat("a", 129), "%2e%2e", "a.b"} {
		if secret.CheckName(name) == nil {
			t.Errorf("%q is taken for a name", name)
		}
	}
	for _, name := range []string{"NPM_TOKEN", "npm-token", "a", "0"} {
		if err := secret.CheckName(name); err != nil {
			t.Error(err)
		}
	}
}

func TestAShellReadsEachValueAsItIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[ -~\n\t\r'"$\\]{1,40}`).Draw(t, "value")
		given := []secret.Given{{Name: "X", Value: secret.New(value), Env: true}, {Name: "Y", Value: secret.New("file only")}}
		cmd := exec.Command("/bin/sh", "-e")
		cmd.Stdin = strings.NewReader(secret.Script(given) + `printf '%s|%s' "$X" "$Y"`)
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != value+"|" {
			t.Fatalf("%q, %v", out, err)
		}
	})
}
