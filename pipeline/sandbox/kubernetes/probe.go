package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/pipeline/secret"
)

// try runs a step in the full configuration, in the keeper's own image, and looks at what was really in force for it. Then
// it looks whether the network policy is.
func (s *Sandbox) try(ctx context.Context) (n network, err error) {
	ws, err := os.MkdirTemp(s.options.Dir, "probe-")
	if err != nil {
		return n, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(ws)) }()
	var said strings.Builder
	reached := false
	v, err := s.Run(ctx, sandbox.Spec{
		ID: "try-" + s.instance.Name, Script: status, Workspace: ws, Output: &said, Root: &sandbox.Root{Name: s.options.Image, Ref: s.options.Image},
		Limits: sandbox.Limits{Wall: time.Minute, Memory: tryMemory, Disk: 1 << 30, Tmp: 16 << 20}, Secrets: []secret.Given{{Name: "WORD", Value: secret.New("word")}},
		Out: func(ctx context.Context, l net.Listener) error {
			reached = l.Addr().String() == sandbox.ProxyAddress
			<-ctx.Done()
			return nil
		},
	})
	switch {
	case err != nil:
		return n, err
	case !v.Passed():
		return n, fmt.Errorf("`true` did not pass in it: %s: %s", v.Reason, oneLine(said.String()))
	case !reached:
		return n, errors.New("it has no way out")
	}
	if _, err := os.Stat(filepath.Join(ws, "made")); err != nil {
		return n, errors.New("what a step makes does not come back")
	}
	if err := inForce(said.String(), s.options.RuntimeClass != ""); err != nil {
		return n, err
	}
	if s.options.Enforced {
		return held, nil
	}
	return s.tryNetwork(ctx)
}

const tryMemory = 256 << 20

// status is a script that prints what is in force for it.
const status = `echo >made
read -r word <"$CONVEYOR_SECRETS_DIR/WORD" || [ "$word" = word ]
while read -r line; do echo "$line"; done </proc/self/status
for f in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
  if [ -r $f ]; then read -r n <$f; echo "memory: $n"; fi
done
if (echo x >/made) 2>/dev/null; then echo "root: writable"; fi
if [ -e /var/run/secrets/kubernetes.io ]; then echo "account: there"; fi
`

func field(said, name string) string {
	for line := range strings.Lines(said) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			return f[1]
		}
	}
	return ""
}

// inForce looks at what a step saw of itself. A runtime with a kernel of its own may bound memory where a step does not see it.
func inForce(said string, ownKernel bool) error {
	for _, want := range [][2]string{
		{"CapInh:", "0000000000000000"}, {"CapPrm:", "0000000000000000"}, {"CapEff:", "0000000000000000"},
		{"CapBnd:", "0000000000000000"}, {"CapAmb:", "0000000000000000"}, {"NoNewPrivs:", "1"}, {"Seccomp:", "2"},
		{"memory:", fmt.Sprint(tryMemory)}, {"root:", ""}, {"account:", ""},
	} {
		if got := field(said, want[0]); got != want[1] && (got != "" || want[0] != "memory:" || !ownKernel) {
			return fmt.Errorf("a step in it had %s %q, and not %q", want[0], got, want[1])
		}
	}
	if user := field(said, "Uid:"); user == "" || user == "0" {
		return errors.New("a step in it was root")
	}
	return nil
}
