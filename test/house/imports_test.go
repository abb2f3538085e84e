// Package house holds the house to its plan: who may import whom.
package house

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/conveyor-ci/conveyor"

// rooms lists each package with what it may import of this module, and of other people's. A trailing "/..." stands for
// the package and everything below it. The standard library is everyone's. docs/architecture.md tells why.
var rooms = []struct {
	room    string
	ours    []string
	vendors []string
}{
	{"conveyor", nil, nil},
	{"pipeline", nil, nil},
	{"pipeline/planfile/condition", nil, []string{"cel.dev/cel-go/..."}},
	{"pipeline/planfile/cron", nil, []string{"github.com/adhocore/gronx"}},
	{"pipeline/planfile", []string{"pipeline", "pipeline/image", "pipeline/planfile/condition", "pipeline/planfile/cron"}, []string{"github.com/goccy/go-yaml/...", "github.com/bmatcuk/doublestar/v4"}},
	{"pipeline/buildspec", []string{"pipeline"}, []string{"go.yaml.in/yaml/v4"}},
	{"pipeline/report", []string{"pipeline"}, nil},
	{"pipeline/history", nil, nil},
	{"pipeline/engine", []string{"pipeline", "pipeline/journal"}, nil},
	{"pipeline/journal", nil, nil},
	{"pipeline/journal/memory", []string{"pipeline/journal"}, nil},
	{"pipeline/journal/sqlite", []string{"pipeline/journal"}, []string{"modernc.org/sqlite/..."}},
	{"pipeline/journal/redis", []string{"pipeline/journal"}, []string{"github.com/redis/go-redis/v9/..."}},
	{"pipeline/journal/journaltest", []string{"pipeline/journal"}, []string{"pgregory.net/rapid"}},
	{"pipeline/layers", nil, []string{"golang.org/x/sys/unix"}},
	{"pipeline/cache", []string{"pipeline", "pipeline/layers"}, []string{"github.com/bmatcuk/doublestar/v4", "golang.org/x/sys/unix"}},
	{"pipeline/secret", nil, nil},
	{"pipeline/secret/age", []string{"pipeline/secret"}, []string{"filippo.io/age"}},
	{"pipeline/secret/folder", []string{"pipeline/secret"}, []string{"golang.org/x/sys/unix"}},
	{"pipeline/sandbox", []string{"pipeline/secret"}, nil},
	{"pipeline/sandbox/box", []string{"pipeline/sandbox"}, []string{"github.com/opencontainers/runtime-spec/...", "golang.org/x/sys/unix"}},
	{"pipeline/sandbox/oci", []string{"pipeline/sandbox", "pipeline/sandbox/box", "pipeline/secret"}, []string{"github.com/opencontainers/runtime-spec/...", "golang.org/x/sys/unix"}},
	{"pipeline/sandbox/docker", []string{"pipeline/image", "pipeline/sandbox", "pipeline/sandbox/box", "pipeline/secret"}, []string{"github.com/moby/moby/...", "github.com/containerd/errdefs", "github.com/opencontainers/runtime-spec/...", "golang.org/x/sys/unix"}},
	{"pipeline/sandbox/kubernetes/wire", []string{"pipeline/sandbox"}, []string{"github.com/hashicorp/yamux"}},
	{"pipeline/sandbox/kubernetes/inside", []string{"pipeline/sandbox", "pipeline/sandbox/box", "pipeline/sandbox/kubernetes/wire"}, []string{"github.com/hashicorp/yamux", "github.com/elastic/go-seccomp-bpf/arch", "github.com/opencontainers/runtime-spec/...", "golang.org/x/sys/unix"}},
	{"pipeline/sandbox/kubernetes", []string{"pipeline/image", "pipeline/sandbox", "pipeline/sandbox/box", "pipeline/sandbox/kubernetes/wire", "pipeline/secret"}, []string{"k8s.io/api/core/v1", "k8s.io/apimachinery/...", "k8s.io/client-go/...", "k8s.io/klog/v2", "github.com/hashicorp/yamux", "golang.org/x/sys/unix"}},
	{"pipeline/sandbox/none", []string{"pipeline/sandbox", "pipeline/secret/folder"}, []string{"golang.org/x/sys/unix"}},
	{"pipeline/sandbox/fake", []string{"pipeline/sandbox"}, nil},
	{"pipeline/sandbox/sandboxtest", []string{"pipeline/sandbox", "pipeline/secret"}, []string{"golang.org/x/sys/unix"}},
	{"pipeline/egress", nil, nil},
	{"pipeline/image", nil, []string{"github.com/google/go-containerregistry/pkg/name"}},
	{"pipeline/image/store", []string{"pipeline/image"}, []string{"github.com/google/go-containerregistry/...", "github.com/docker/cli/cli/config/...", "golang.org/x/sys/unix", "golang.org/x/sync/..."}},
	{"pipeline/source", []string{"pipeline"}, nil},
	{"pipeline/source/git", []string{"pipeline", "pipeline/layers", "pipeline/source"}, []string{"golang.org/x/sys/unix", "golang.org/x/sync/..."}},
	{"pipeline/source/sourcetest", []string{"pipeline", "pipeline/source"}, nil},
	{"pipeline/artifact", []string{"pipeline"}, []string{"github.com/bmatcuk/doublestar/v4", "golang.org/x/sys/unix"}},
	{"pipeline/artifact/frame", []string{"pipeline"}, []string{"github.com/klauspost/compress/..."}},
	{"pipeline/artifact/dir", []string{"pipeline", "pipeline/artifact", "pipeline/artifact/frame"}, nil},
	{"pipeline/artifact/s3", []string{"pipeline", "pipeline/artifact", "pipeline/artifact/frame"}, []string{"github.com/minio/minio-go/v7/..."}},
	{"pipeline/artifact/memory", []string{"pipeline", "pipeline/artifact"}, nil},
	{"pipeline/artifact/artifacttest", []string{"pipeline", "pipeline/artifact"}, []string{"pgregory.net/rapid"}},
	{"pipeline/provenance", []string{"pipeline"}, nil},
	{"pipeline/provenance/provenancetest", nil, nil},
	{"pipeline/logs", nil, nil},
	{"deploy", []string{"pipeline"}, nil},
	{"deploy/ledger", []string{"deploy", "pipeline"}, nil},
	{"deploy/target", []string{"pipeline", "pipeline/secret"}, nil},
	{"deploy/target/static", []string{"pipeline", "deploy/target"}, []string{"golang.org/x/sys/unix"}},
	{"deploy/target/exec", []string{"pipeline", "pipeline/secret/...", "deploy/target"}, []string{"golang.org/x/sys/unix"}},
	{"deploy/target/targettest", []string{"pipeline", "deploy/target"}, nil},
	{"handlers", []string{"handlers/..."}, []string{"github.com/gin-gonic/gin/..."}},
	{"handlers/webhook", []string{"deploy", "pipeline"}, []string{"github.com/gin-gonic/gin/...", "github.com/yuin/goldmark/...", "github.com/google/go-github/v60/github"}},
	{"handlers/setup", nil, []string{"github.com/gin-gonic/gin/..."}},
	{"handlers/dashboard", []string{"deploy", "pipeline", "pipeline/logs"}, []string{"github.com/gin-gonic/gin/...", "github.com/buildkite/terminal-to-html/v3"}},
	{"app/github", []string{"pipeline", "pipeline/secret"}, []string{"github.com/google/go-github/v60/github", "github.com/bradleyfalzon/ghinstallation/v2", "github.com/golang-jwt/jwt/v4"}},
	{"app", []string{"conveyor", "app/github", "handlers/...", "deploy/...", "pipeline/..."}, []string{"github.com/bmatcuk/doublestar/v4", "github.com/goccy/go-yaml", "github.com/prometheus/client_golang/..."}},
	{"cmd/conveyor", []string{"app/...", "deploy", "deploy/ledger", "pipeline", "pipeline/artifact", "pipeline/buildspec", "pipeline/logs", "pipeline/planfile", "pipeline/provenance", "pipeline/secret/...", "pipeline/source", "test/github"}, []string{"github.com/alecthomas/kong", "github.com/goccy/go-yaml", "golang.org/x/sys/unix"}},
	{"cmd/demo", []string{"app/...", "test/github"}, []string{"github.com/goccy/go-yaml"}},
	{"cmd/pod", []string{"pipeline/sandbox/kubernetes/inside"}, nil},
}

type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func TestEveryRoomImportsOnlyWhatItMay(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{}
	for _, p := range packages(t) {
		room, _ := roomOf(p.ImportPath)
		if strings.HasPrefix(room, "test/") {
			continue // tests may use everything
		}
		listed[room] = true
		at := slices.IndexFunc(rooms, func(r struct {
			room    string
			ours    []string
			vendors []string
		}) bool {
			return r.room == room
		})
		if at < 0 {
			t.Errorf("%s is not in the plan of the house; add it to the table in this test, and to docs/architecture.md, with what it may import", room)
			continue
		}
		for _, imported := range p.Imports {
			ours, inside := roomOf(imported)
			switch {
			case !inside && !strings.Contains(strings.SplitN(imported, "/", 2)[0], "."):
			case inside && !allowed(rooms[at].ours, ours):
				t.Errorf("%s imports %s: arrows go down the house only, and adapters are for app, cmd and tests", room, ours)
			case !inside && !allowed(rooms[at].vendors, imported):
				t.Errorf("%s imports %s: each vendor has one room; use that room, or write down in docs/decisions why there are two", room, imported)
			}
		}
	}
	for _, r := range rooms {
		if !listed[r.room] {
			t.Errorf("the plan of the house names %s, which is not there", r.room)
		}
	}
}

// roomOf is a package as the table names it: the one at the top has the module's own name. inside says that it is ours.
func roomOf(path string) (room string, inside bool) {
	if path == module {
		return "conveyor", true
	}
	return strings.CutPrefix(path, module+"/")
}

func allowed(list []string, imported string) bool {
	return slices.ContainsFunc(list, func(may string) bool {
		root, below := strings.CutSuffix(may, "/...")
		return imported == root || below && strings.HasPrefix(imported, root+"/")
	})
}

func packages(t *testing.T) (all []pkg) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Standard", module+"/...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
