package oci

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/test/images"
)

func TestAStepThatIsRootOfItsBoxChangesTheImageForItselfAlone(t *testing.T) {
	t.Parallel()
	for _, runtime := range []string{"crun", "runc"} {
		t.Run(runtime, func(t *testing.T) {
			t.Parallel()
			s := probe(t, Options{Runtime: runtime})
			root := rootOf(t, nil, images.FromHost(t, append([]string{"chown", "mount", "mknod", "chroot"}, images.Tools...)...),
				images.Layer(t, images.Entry{Name: "etc/passwd", Text: "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/:/bin/sh\n"}, images.Entry{Name: "usr/tool", Text: "old\n"}))
			run := func(script string) (string, string) {
				t.Helper()
				var out strings.Builder
				ws := workspace(t, s)
				v, err := s.Run(t.Context(), sandbox.Spec{ID: strings.ToLower(rest(t.Name())), Script: script, Workspace: ws, Output: &out, Root: root, Superuser: true,
					Limits: sandbox.Limits{Tmp: 16 << 20}})
				if err != nil || !v.Passed() {
					t.Fatalf("%+v, %v; output: %s", v, err, out.String())
				}
				return out.String(), ws
			}
			got, ws := run(`id -u; id -un; cat /usr/tool; cat /etc/made /usr/tool.new 2>/dev/null || true
echo new >/usr/tool; echo made >/etc/made; rm /etc/passwd; mkdir -p /usr/share/doc; chown 33:33 /etc/made; stat -c '%u' /etc/made
echo kept >/workspace/kept; chown 33 /workspace/kept
for escape in "mount -t tmpfs x /usr/share" "mount --bind / /usr/share" "mknod /dev/disk b 8 0" "chroot /usr true"; do if $escape 2>/dev/null; then echo "could $escape"; fi; done
if head -c 64M /dev/zero >/usr/big 2>/dev/null; then echo "wrote without a bound"; fi
grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status | tr '\t\n' '  '
`)
			if want := "0\nroot\nold\n33\nCapEff: 00000000000000fb NoNewPrivs: 1 Seccomp: 2 "; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			info, err := os.Lstat(filepath.Join(ws, "kept"))
			if err != nil {
				t.Fatal(err)
			}
			if owner := info.Sys().(*syscall.Stat_t).Uid; owner != uint32(s.options.FirstID+33) {
				t.Errorf("what it gave to 33 is %d's on this machine", owner)
			}
			if again, _ := run("cat /usr/tool; ls /etc\n"); !strings.HasPrefix(again, "old\n") || strings.Contains(again, "made") || !strings.Contains(again, "passwd") {
				t.Errorf("the next one sees %q", again)
			}
		})
	}
}

func TestNobodyIsRootAmongTheToolsOfTheMachine(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	if _, err := s.Run(t.Context(), sandbox.Spec{ID: "x", Script: "true\n", Workspace: workspace(t, s), Output: &strings.Builder{}, Superuser: true}); err == nil || !strings.Contains(err.Error(), "no image") {
		t.Error(err)
	}
}
