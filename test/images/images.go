// Package images builds small images for tests out of the programs of this machine, and serves them as a registry does.
//
// The registry is a real one, of the library that the product pulls with; it listens on the loopback only. Entries of a
// layer are written as they are given: a hostile layer is made of the same parts as a good one.
package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// TB is what is needed of a test: whoever measures without one has it, too. Fatal does not return.
type TB interface {
	Helper()
	Fatal(args ...any)
	Cleanup(func())
}

// Entry is one of a layer: a folder when the name ends with a slash, a link when it leads somewhere, else a file.
type Entry struct {
	Name, Text string
	To         string // of a symbolic link
	Header     func(*tar.Header)
}

// Layer makes a layer of entries.
func Layer(t TB, entries ...Entry) v1.Layer {
	t.Helper()
	return Raw(t, Archive(t, entries...))
}

// Archive is the bytes of a layer, before they are compressed.
func Archive(t TB, entries ...Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.Name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(e.Text)), ModTime: time.Unix(1_700_000_000, 0), Format: tar.FormatPAX}
		switch {
		case e.To != "":
			h.Typeflag, h.Linkname, h.Size, h.Mode = tar.TypeSymlink, e.To, 0, 0o777
		case strings.HasSuffix(e.Name, "/"):
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if e.Header != nil {
			e.Header(h)
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, e.Text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Raw makes a layer of bytes, whatever they are.
func Raw(t TB, archive []byte) v1.Layer {
	t.Helper()
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }, tarball.WithCompressionLevel(gzip.BestSpeed))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Image makes an image for this machine.
func Image(t TB, env []string, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err == nil {
		img, err = mutate.ConfigFile(img, Config(t, img, env))
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// Config is the configuration of an image with these variables.
func Config(t TB, img v1.Image, env []string) *v1.ConfigFile {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Config.Env = "linux", runtime.GOARCH, env
	c.Config.Entrypoint, c.Config.User, c.Config.WorkingDir = []string{"/no/such/entrypoint"}, "root", "/nowhere" // none of which is used
	return c
}

// Runs makes an image one that runs something by itself.
func Runs(t TB, img v1.Image, says func(*v1.Config)) v1.Image {
	t.Helper()
	c, err := img.ConfigFile()
	if err == nil {
		c = c.DeepCopy()
		says(&c.Config)
		img, err = mutate.ConfigFile(img, c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// Tools are programs that a script of a test may call.
var Tools = []string{"bash", "sh", "cat", "cp", "echo", "env", "false", "grep", "head", "id", "ls", "mkdir", "printf", "rm", "seq", "setsid", "sleep", "stat", "tail", "touch", "tr", "true", "uname", "wc", "yes"}

// FromHost is a layer with programs of this machine, and the libraries that they are linked with.
func FromHost(t TB, programs ...string) v1.Layer {
	t.Helper()
	files := map[string]string{} // here by there
	for _, program := range programs {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		files["bin/"+filepath.Base(program)] = path
		for _, lib := range libraries(t, path) {
			files[strings.TrimPrefix(lib, "/")] = lib
		}
	}
	entries := []Entry{{Name: "usr/", Text: ""}, {Name: "usr/bin", To: "../bin"}, {Name: "etc/"}, {Name: "etc/passwd", Text: "root:x:0:0:root:/root:/bin/sh\n"}, {Name: "etc/os-release", Text: "NAME=tiny\n"}}
	for _, there := range sorted(files) {
		text, err := os.ReadFile(files[there])
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, Entry{Name: there, Text: string(text), Header: func(h *tar.Header) { h.Mode = 0o755 }})
	}
	return Layer(t, entries...)
}

// libraries asks the loader what a program is linked with. A static one is linked with nothing.
func libraries(t TB, path string) (libs []string) {
	t.Helper()
	out, err := exec.Command("ldd", path).Output()
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(out)) {
		for _, word := range strings.Fields(line) {
			if strings.HasPrefix(word, "/") {
				libs = append(libs, word)
			}
		}
	}
	return libs
}

func sorted(files map[string]string) (names []string) {
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Server is a registry on the loopback.
type Server struct {
	Host string // "127.0.0.1:1234"
	URL  string
	t    TB
}

// Serve starts a registry, which ends with the test. Each wrap stands before it, the last one first.
func Serve(t TB, wrap ...func(http.Handler) http.Handler) *Server {
	t.Helper()
	h := registry.New(registry.Logger(nowhere()))
	for _, w := range wrap {
		h = w(h)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &Server{Host: strings.TrimPrefix(s.URL, "http://"), URL: s.URL, t: t}
}

// Push puts an image there, and returns its name and digest.
func (s *Server) Push(path string, img v1.Image) (ref, digest string) {
	s.t.Helper()
	ref = s.Host + "/" + path
	parsed, err := name.ParseReference(ref)
	if err == nil {
		err = remote.Write(parsed, img, remote.WithTransport(&http.Transport{DisableKeepAlives: true}))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	d, err := img.Digest()
	if err != nil {
		s.t.Fatal(err)
	}
	return ref, d.String()
}

// Tree is what lies below a folder: names, and what they are.
func Tree(t TB, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		found = append(found, fmt.Sprintf("%s %s", e.Type(), rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// PushIndex puts images for several machines there under one name.
func (s *Server) PushIndex(path string, byArchitecture map[string]v1.Image) (ref, digest string) {
	s.t.Helper()
	var index v1.ImageIndex = empty.Index
	for arch, img := range byArchitecture {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	ref = s.Host + "/" + path
	parsed, err := name.ParseReference(ref)
	if err == nil {
		err = remote.WriteIndex(parsed, index, remote.WithTransport(&http.Transport{DisableKeepAlives: true}))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	d, err := index.Digest()
	if err != nil {
		s.t.Fatal(err)
	}
	return ref, d.String()
}

// Starts is an image that starts with a program, as whoever runs it has it.
func Starts(img v1.Image, program ...string) (v1.Image, error) {
	c, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.Config.Entrypoint, c.Config.User, c.Config.WorkingDir = program, "", "/"
	return mutate.ConfigFile(img, c)
}
