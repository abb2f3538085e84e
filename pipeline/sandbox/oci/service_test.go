package oci

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/sandbox"
	"github.com/conveyor-ci/conveyor/test/images"
)

func TestTheUserOfAnImageIsLookedUpInIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"passwd": "root:x:0:0:root:/root:/bin/sh\nbroken\npostgres:x:70:71:,,,:/var/lib/postgresql:/bin/sh\nfar:x:100000:5:::\n12:x:13:14::/twelve:\n",
		"group":  "root:x:0:\nssl:x:90:redis,postgres\npostgres:x:71:\nfar:x:100000:postgres\n",
	} {
		if err := errors.Join(os.MkdirAll(dir+"/etc", 0o755), os.WriteFile(dir+"/etc/"+name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	for said, want := range map[string]who{
		"": {home: "/root"}, "root": {home: "/root"}, "postgres": {70, 71, []uint32{90}, "/var/lib/postgresql"}, "70": {70, 71, []uint32{90}, "/var/lib/postgresql"},
		"999": {uid: 999, home: "/"}, "999:998": {uid: 999, gid: 998, home: "/"}, "postgres:ssl": {70, 90, nil, "/var/lib/postgresql"}, "70:0": {70, 0, nil, "/var/lib/postgresql"},
		"12": {13, 14, nil, "/twelve"}, // a name of digits goes before the number, as with other programs
	} {
		got, err := findUser(root, said)
		if err != nil || got.uid != want.uid || got.gid != want.gid || got.home != want.home || !slices.Equal(got.more, want.more) {
			t.Errorf("%q: %+v, %v", said, got, err)
		}
	}
	for _, said := range []string{"nobody", "65536", "-1", "far", "postgres:nobody", "70:65536", "70:"} {
		if got, err := findUser(root, said); err == nil {
			t.Errorf("%q: %+v", said, got)
		}
	}
}

func TestServicesAreRefusedWhereBoxesCannotShareANetwork(t *testing.T) {
	t.Parallel()
	s := &Sandbox{engine: engine{name: "runsc"}}
	_, err := s.Run(t.Context(), sandbox.Spec{ID: "x", Workspace: t.TempDir(), Output: &strings.Builder{}, Services: []sandbox.Service{
		{Name: "db", Root: &sandbox.Root{}, Command: []string{"x"}, Ready: sandbox.Ready{Port: 1}},
	}})
	if err == nil || !strings.Contains(err.Error(), "gVisor") {
		t.Errorf("%v", err)
	}
}

// Entrypoints of usual images begin as root, give their folder to a user and become that user.
func TestAnEntrypointMayBecomeTheUserOfItsImage(t *testing.T) {
	t.Parallel()
	for _, runtime := range []string{"crun", "runc"} {
		t.Run(runtime, func(t *testing.T) {
			t.Parallel()
			s := probe(t, Options{Runtime: runtime})
			root := rootOf(t, []string{"PATH=/bin"}, images.FromHost(t, append([]string{"chown", "setpriv"}, images.Tools...)...))
			var out strings.Builder
			v, err := s.Run(t.Context(), sandbox.Spec{ID: "become", Script: "true", Workspace: workspace(t, s), Output: &out, Services: []sandbox.Service{{
				Name: "db", Root: root, Ready: sandbox.Ready{Command: []string{"/bin/sh", "-c", "test -e /data/mine"}},
				Command: []string{"bash", "-ec", "ls /proc/self/fd; mkdir /data; chown 70:70 /data; exec setpriv --reuid=70 --regid=70 --clear-groups bash -ec 'id -u; id -G; grep CapEff /proc/self/status; touch /data/mine; sleep 1000'"},
			}}})
			want := "db │ 0\ndb │ 1\ndb │ 2\ndb │ 3\ndb │ 70\ndb │ 70\ndb │ CapEff:\t0000000000000000\n" // 3 is the folder that ls reads
			if err != nil || !v.Passed() || out.String() != want {
				t.Errorf("%+v, %v: %q", v, err, out.String())
			}
		})
	}
}

// Servers of usual images listen on 80, whoever they run as.
func TestAServiceMayListenOnALowPort(t *testing.T) {
	t.Parallel()
	s := probe(t, Options{})
	var out strings.Builder
	v, err := s.Run(t.Context(), sandbox.Spec{ID: "low", Script: "exec 3<>/dev/tcp/web/80; read -r line <&3; echo $line", Workspace: workspace(t, s), Output: &out, Services: []sandbox.Service{{
		Name: "web", Root: serviceImage(t)(t), User: "1000", Ready: sandbox.Ready{Port: 80}, Command: []string{"/bin/probe", "sandboxtest-probe", "listen", "80"},
	}}})
	if err != nil || !v.Passed() || !strings.HasSuffix(out.String(), "hello\n") {
		t.Errorf("%+v, %v: %q", v, err, out.String())
	}
}
