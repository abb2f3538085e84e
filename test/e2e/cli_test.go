package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var built struct {
	once sync.Once
	dir  string
	err  error
}

// binary is a command of the product: as `make` built it, or built here.
func binary(t *testing.T, name string) string {
	t.Helper()
	if dir := os.Getenv("CONVEYOR_BIN"); dir != "" {
		return filepath.Join(dir, name)
	}
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "conveyor-bin-"); built.err != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", built.dir, "../../cmd/conveyor", "../../cmd/demo").CombinedOutput()
		if err != nil {
			built.err = errors.New(string(out))
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, name)
}

// say runs a command and returns its exit code and what it said.
func say(t *testing.T, env []string, name string, args ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t, name), args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

func TestServeRefusesToStartWithASentenceForEachValue(t *testing.T) {
	t.Parallel()
	code, out := say(t, []string{"CONVEYOR_WEBHOOK_SECRET=short", "CONVEYOR_LISTEN=nowhere"}, "conveyor", "serve")
	if code != 78 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"CONVEYOR_LISTEN", "CONVEYOR_PUBLIC_URL", "CONVEYOR_APP_ID is missing", "CONVEYOR_PRIVATE_KEY_FILE is missing", "secret has 5 bytes"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "=short") || strings.Contains(out, `"short"`) {
		t.Error("it shows the secret")
	}
	if code, out = say(t, []string{"CONVEYOR_APP_ID=7", "CONVEYOR_WEBHOOK_SECRET="}, "conveyor", "serve"); code != 78 || !strings.Contains(out, "without a secret anyone could pretend to be GitHub") {
		t.Errorf("an empty secret: %d\n%s", code, out)
	}
}

func TestASettingsFileWithAnUnknownKeyIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "conveyor.yml")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:0\nlissten: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out := say(t, nil, "conveyor", "serve", "--config", file)
	if code == 0 || !strings.Contains(out, `unknown setting "lissten"`) {
		t.Fatalf("%d\n%s", code, out)
	}
}

func TestValidateNamesThePlaceAndTheRemedy(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "plan.yml")
	if err := os.WriteFile(file, []byte("version: 1\non: {push: {}}\nstages:\n  - name: test\n    stesp:\n      - run: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out := say(t, nil, "conveyor", "validate", file)
	if code != 1 || !strings.Contains(out, `plan.yml:5:5: `) || !strings.Contains(out, `"steps"`) {
		t.Fatalf("%d\n%s", code, out)
	}
	if code, out := say(t, nil, "conveyor", "validate", "../../cmd/demo/shop/.github/conveyor.yml"); code != 0 || !strings.Contains(out, "is good: 2 stages, 2 steps, 3 environments") {
		t.Errorf("the sample's plan: %d\n%s", code, out)
	}
}

func TestTheSchemaIsJSON(t *testing.T) {
	t.Parallel()
	code, out := say(t, nil, "conveyor", "schema")
	var schema map[string]any
	if err := json.Unmarshal([]byte(out), &schema); code != 0 || err != nil || schema["$schema"] == nil {
		t.Fatalf("%d %v", code, err)
	}
}

func TestValidateChecksAllPipelinesOfARepository(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	const good = "version: 1\non: {push: {}}\nstages: [{name: test, steps: [{name: unit, run: make}]}]\n"
	for name, text := range map[string]string{"conveyor.yml": good, "conveyor/b.yml": good, "conveyor/part.yml": "stages: [{name: x, steps: [{name: y, run: make}]}]\n", "conveyor/c.yml": "name: b\n" + good} {
		file := filepath.Join(top, ".github", filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(top, ".github", name) }
	code, out := say(t, nil, "conveyor", "validate", at("conveyor.yml"))
	for _, want := range []string{
		at("conveyor.yml") + " is good: 1 stage, 1 step, 0 environments.",
		at("conveyor/c.yml") + `:1:7: the pipelines of .github/conveyor/c.yml and .github/conveyor/b.yml are both called "b"`, at("conveyor/b.yml") + ":1:1: ",
	} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("%d: %s\nwant %s", code, out, want)
		}
	}
	if code, out := say(t, nil, "conveyor", "validate", at("conveyor/part.yml")); code != 0 || !strings.Contains(out, "is no pipeline: it holds stages") {
		t.Errorf("%d: %s", code, out)
	}
	if code, out := say(t, nil, "conveyor", "validate", at("conveyor/b.yml")); code != 1 || strings.Contains(out, "c.yml:") {
		t.Errorf("%d: %s", code, out)
	}
}
