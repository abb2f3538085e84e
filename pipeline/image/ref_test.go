package image_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/image"
)

func TestAReferenceIsReadAsDockerReadsIt(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("a", 64)
	for text, want := range map[string][3]string{
		"node":                              {"index.docker.io", "library/node", "latest"},
		"node:20":                           {"index.docker.io", "library/node", "20"},
		"oci:20":                            {"index.docker.io", "library/oci", "20"},
		"docker.io/octo/tools:1":            {"index.docker.io", "octo/tools", "1"},
		"ghcr.io/octo/tools:v1.2-a":         {"ghcr.io", "octo/tools", "v1.2-a"},
		"localhost:5000/x":                  {"localhost:5000", "x", "latest"},
		"node@" + digest:                    {"index.docker.io", "library/node", digest},
		"r.example/a/b/c:20@" + digest:      {"r.example", "a/b/c", digest},
		"127.0.0.1:5000/tiny:1@" + digest:   {"127.0.0.1:5000", "tiny", digest},
		"registry.example.com:443/node:20 ": {},
	} {
		ref, err := image.Parse(text)
		if want[0] == "" {
			if err == nil {
				t.Errorf("%q was read as %v", text, ref.Name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		got := [3]string{ref.Name.Context().RegistryStr(), ref.Name.Context().RepositoryStr(), ref.Name.Identifier()}
		if got != want || ref.String() != text {
			t.Errorf("%q was read as %q", text, got)
		}
		if pinned := ref.Pinned(); (pinned != "") != strings.Contains(text, "@") || pinned != "" && pinned != digest {
			t.Errorf("%q is pinned to %q", text, pinned)
		}
	}
}

func TestAFileIsNamedByAnAbsolutePathOnly(t *testing.T) {
	t.Parallel()
	for text, kind := range map[string]image.Kind{"tarball:/srv/images/node.tar": image.Tarball, "oci:/srv/images/node": image.Layout} {
		ref, err := image.Parse(text)
		if err != nil || ref.Kind != kind || !strings.HasPrefix(ref.Path, "/srv/images/node") || ref.Pinned() != "" {
			t.Errorf("%q was read as %+v, %v", text, ref, err)
		}
	}
	for _, text := range []string{"tarball:", "tarball:node.tar", "tarball:/", "tarball:/srv/../etc/shadow", "tarball:/srv//x", "oci:./x", "oci:../x", "oci:/x/"} {
		if ref, err := image.Parse(text); err == nil {
			t.Errorf("%q was read as %+v", text, ref)
		}
	}
}

func TestAMistakeSaysWhatWasMeant(t *testing.T) {
	t.Parallel()
	for text, hint := range map[string]string{
		"Node:20": `did you mean "node:20"?`, "node 20": `did you mean "node20"?`, "node@20": `did you mean "node:20"?`, "node: 20": `did you mean "node:20"?`,
		"https://ghcr.io/x": "leave that out: ghcr.io/x", "docker://node": "leave that out: node", "!": "write a name and a tag, for example node:20, or a digest: node@sha256:…",
	} {
		_, err := image.Parse(text)
		m, ok := errors.AsType[*image.Mistake](err)
		if !ok || m.Hint != hint || m.Message == "" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestProgressIsInWords(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]image.Progress{
		"3 of 5 layers, 40 MB": {Layers: 3, Of: 5, Bytes: 40e6}, "0 of 1 layers, 0 bytes": {Of: 1}, "2 of 2 layers, 1.2 GB": {Layers: 2, Of: 2, Bytes: 12e8}, "0 of 9 layers, 7 kB": {Of: 9, Bytes: 7e3},
	} {
		if got := p.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
