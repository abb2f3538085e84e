package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/sandbox/box"
	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

// try runs a step in the full configuration and looks at what was really in force for it. Its image holds nothing but
// this machine's shell; it is made for that, and removed.
func (s *Sandbox) try(ctx context.Context) (err error) {
	ref, err := s.importShell(ctx)
	if err != nil {
		return fmt.Errorf("make an image to try it with: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		if _, gone := s.engine.ImageRemove(ctx, ref, client.ImageRemoveOptions{Force: true}); gone != nil && !isNotFound(gone) {
			err = errors.Join(err, fmt.Errorf("remove the image that it was tried with: %w", gone))
		}
	}()
	ws, err := os.MkdirTemp(s.instance.Path, "probe-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(ws)) }()
	if err := os.Chown(ws, s.owner, s.owner); err != nil {
		return err
	}
	var said strings.Builder
	reached := false
	v, err := s.Run(ctx, sandbox.Spec{
		ID: "try-" + s.instance.Name, Script: status, Workspace: ws, Output: &said, Root: &sandbox.Root{Name: "that is made to try it", Ref: ref},
		Limits: sandbox.Limits{Wall: time.Minute}, Secrets: []secret.Given{{Name: "WORD", Value: secret.New("word")}},
		Out: func(ctx context.Context, l net.Listener) error {
			reached = l.Addr().String() == sandbox.ProxyAddress
			<-ctx.Done()
			return nil
		},
	})
	switch {
	case err != nil:
		return err
	case !v.Passed():
		return fmt.Errorf("`true` did not pass in it: %s: %.300s", v.Reason, said.String())
	case !reached:
		return errors.New("it has no way out")
	}
	if _, err := os.Stat(filepath.Join(ws, "made")); err != nil {
		return errors.New("the engine does not see this server's folders: they have to be on the same machine, and in the same mounts")
	}
	s.files = openFiles(field(said.String(), "files:"))
	return s.inForce(said.String())
}

// status is a script that prints what is in force for it.
const status = `echo >made
read -r word <"$CONVEYOR_SECRETS_DIR/WORD" || [ "$word" = word ]
echo "files: $(ulimit -Hn)"
while read -r line; do echo "$line"; done </proc/self/status
while read -r line; do echo "users: $line"; done </proc/self/uid_map
for f in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
  if [ -r $f ]; then read -r n <$f; echo "memory: $n"; fi
done
`

func field(said, name string) string {
	for line := range strings.Lines(said) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			return f[1]
		}
	}
	return ""
}

// inForce looks at what a step saw of itself.
func (s *Sandbox) inForce(said string) error {
	for _, want := range [][2]string{
		{"Uid:", fmt.Sprint(s.user)}, {"CapInh:", "0000000000000000"}, {"CapPrm:", "0000000000000000"}, {"CapEff:", "0000000000000000"},
		{"CapBnd:", "0000000000000000"}, {"CapAmb:", "0000000000000000"}, {"NoNewPrivs:", "1"}, {"Seccomp:", "2"},
		{"memory:", fmt.Sprint(s.options.Limits.Memory &^ 4095)},
	} {
		if got := field(said, want[0]); got != want[1] {
			return fmt.Errorf("a step in it had %s %q, and not %s", want[0], got, want[1])
		}
	}
	mapped := s.about.firstID > 0
	for line := range strings.Lines(said) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == "users:" && f[1] == "0" && (f[2] != "0") == mapped && (!mapped || f[2] == fmt.Sprint(s.about.firstID)) {
			return nil
		}
	}
	return errors.New("its users are not those that the engine says")
}

// importShell gives the engine an image with this machine's shell, and what that is linked with.
func (s *Sandbox) importShell(ctx context.Context) (ref string, err error) {
	archive, err := shellArchive(ctx)
	if err != nil {
		return "", err
	}
	done, err := s.engine.ImageImport(ctx, client.ImageImportSource{Source: bytes.NewReader(archive), SourceName: "-"}, "conveyor-try", client.ImageImportOptions{Tag: s.instance.Name})
	if err != nil {
		return "", err
	}
	said, err := io.ReadAll(io.LimitReader(done, 1<<20))
	if err := errors.Join(err, done.Close()); err != nil {
		return "", err
	}
	id := idForm.FindString(string(said)) // by the name, each engine would look elsewhere
	if id == "" {
		return "", errors.New(box.OneLine(string(said)))
	}
	return id, nil
}

var idForm = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

func shellArchive(ctx context.Context) ([]byte, error) {
	const shell = "/bin/sh"
	files := []string{shell}
	linked, err := exec.CommandContext(ctx, "ldd", shell).Output() // a static one is linked with nothing, and that is an error
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, word := range strings.Fields(string(linked)) {
		if strings.HasPrefix(word, "/") {
			files = append(files, word)
		}
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		err = w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(file, "/"), Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(text))})
		if err == nil {
			_, err = w.Write(text)
		}
		if err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}
