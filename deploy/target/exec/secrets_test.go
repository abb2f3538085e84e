package exec_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/deploy/target"
	"github.com/conveyor-ci/conveyor/deploy/target/exec"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

func TestAScriptFindsItsSecretsInMemoryAndNobodyElseDoes(t *testing.T) {
	t.Parallel()
	const key, word = "canary-key\nof two lines\n", "canary-word"
	scripts := install(t, "ship", "#!/bin/sh\nPATH=/usr/bin:/bin\ncat \"$CONVEYOR_SECRETS_DIR/KEY\"\nstat -f -c %T \"$CONVEYOR_SECRETS_DIR\"\necho \"${KEY-unset} $WORD\"\necho \"$CONVEYOR_SECRETS_DIR\"\n")
	scratch := t.TempDir()
	e := open(t, exec.Options{Dir: scripts, Scratch: scratch})
	var log bytes.Buffer
	err := e.Remove(t.Context(), target.Deployment{
		ID: "7/production#1", Token: 1, Repo: pipeline.Repo{ID: 7, Owner: "octo", Name: "shop"}, Environment: "production",
		Settings: map[string]string{"script": "ship"}, Log: &log,
		Secrets: []secret.Given{{Name: "KEY", Value: secret.New(key)}, {Name: "WORD", Value: secret.New(word), Env: true}},
	})
	if err != nil {
		t.Fatalf("%v (this test needs root)", err)
	}
	_, said, _ := strings.Cut(log.String(), "\n")
	if want := key + "tmpfs\nunset " + word + "\n"; !strings.HasPrefix(said, want) {
		t.Errorf("it saw %q, and not %q", said, want)
	}
	dir := strings.TrimSpace(said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:])
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 || !strings.HasPrefix(dir, scratch) {
		t.Errorf("%s: %v, %v", dir, left, err)
	}
	err = filepath.WalkDir(scratch, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(read(path), "canary") {
			t.Errorf("%s holds a secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
