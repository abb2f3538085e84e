package exec_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/deploy/target"
	"github.com/conveyor-ci/conveyor/deploy/target/exec"
	"github.com/conveyor-ci/conveyor/deploy/target/targettest"
)

// shop is a small, honest deploy script.
const shop = `#!/bin/sh
set -eu
place="$CONVEYOR_SETTING_FOLDER/$CONVEYOR_ENVIRONMENT"
case "$1" in
deploy)
	mkdir -p "$place"
	rm -rf "$place/next" "$place/old"
	mkdir "$place/next"
	cp -R "$CONVEYOR_ARTIFACT_DIR" "$place/next/files"
	echo "$CONVEYOR_DIGEST" > "$place/next/digest"
	if [ -e "$place/live" ]; then mv "$place/live" "$place/old"; fi
	mv "$place/next" "$place/live"
	echo "$CONVEYOR_DEPLOYMENT is live" ;;
probe)
	if [ -e "$place/live/digest" ]; then cat "$place/live/digest"; fi ;;
remove)
	rm -rf "$place" ;;
esac
`

func TestExecKeepsTheContract(t *testing.T) {
	t.Parallel()
	targettest.Run(t, func(t *testing.T) targettest.Place {
		scripts, scratch, folder := install(t, "shop", shop), t.TempDir(), t.TempDir()
		return targettest.Place{
			Open:     func() target.Target { return open(t, exec.Options{Dir: scripts, Scratch: scratch}) },
			Settings: map[string]string{"script": "shop", "folder": folder},
			Serves: func(environment, path string) string {
				return read(filepath.Join(folder, environment, "live/files", path))
			},
		}
	})
}

func open(t testing.TB, o exec.Options) *exec.Target {
	t.Helper()
	e, err := exec.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// install makes the operator's folder with one script in it.
func install(t testing.TB, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	// A process forked just now would hold the file open for writing, and nobody could run it (golang.org/issue/22315).
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(b)
}

// patience is how long a test waits for something that has to happen.
const patience = 20 * time.Second

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(end) {
			t.Fatalf("it never came to this: %s", what)
		}
		<-tick.C
	}
}
