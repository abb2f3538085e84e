package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/conveyor-ci/conveyor/pipeline/image"
	"github.com/conveyor-ci/conveyor/test/images"
)

const serverArg = "image-server"

func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == serverArg {
		fmt.Println(pullForever(os.Args[2], os.Args[3], os.Args[4]))
		return
	}
	os.Exit(m.Run())
}

// pullForever is a server that is killed in the middle of a pull. It is this test binary.
func pullForever(dir, name, digest string) error {
	ref, err := image.Parse(name)
	if err != nil {
		return err
	}
	s, err := Open(Options{Dir: dir, FirstID: first, Registries: []string{ref.Name.Context().RegistryStr()}})
	if err != nil {
		return err
	}
	_, err = s.Hold(context.Background(), ref, digest, func(p image.Progress) { fmt.Println(p.Layers) })
	return err
}

// halting is a registry that sends the first half of large blobs, and then stops or breaks off.
type halting struct {
	on    atomic.Bool
	stop  chan struct{} // nil breaks off
	begun chan struct{} // has a word for each half that was sent
	blobs atomic.Int64
}

func (h *halting) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == http.MethodGet && strings.Contains(q.URL.Path, "/blobs/") {
			h.blobs.Add(1)
			if h.on.Load() {
				w = &half{ResponseWriter: w, h: h}
			}
		}
		next.ServeHTTP(w, q)
	})
}

type half struct {
	http.ResponseWriter
	h    *halting
	sent int
}

func (w *half) Write(p []byte) (int, error) {
	const most = 200 << 10
	if w.sent+len(p) <= most {
		w.sent += len(p)
		return w.ResponseWriter.Write(p)
	}
	n, _ := w.ResponseWriter.Write(p[:most-w.sent])
	w.sent += n
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
	if w.h.stop != nil {
		w.h.begun <- struct{}{}
		<-w.h.stop
	}
	panic(http.ErrAbortHandler)
}

// smallAndLarge is an image of two layers, of which only the second one is cut off.
func smallAndLarge(t *testing.T) v1.Image {
	t.Helper()
	var files []images.Entry
	text := noise(1 << 20)
	for i := range 100 {
		files = append(files, images.Entry{Name: fmt.Sprintf("large/%02d", i), Text: text[i*10_000 : (i+1)*10_000]})
	}
	return images.Image(t, nil, images.Layer(t, images.Entry{Name: "small", Text: "small"}), images.Layer(t, files...))
}

func TestAPullThatBreaksOffIsTriedAgainAndKeepsWhatIsWhole(t *testing.T) {
	t.Parallel()
	h := &halting{}
	reg, s := served(t, Options{}, h.wrap)
	ref, digest := reg.Push("x:1", smallAndLarge(t))
	h.on.Store(true)
	if _, err := s.Hold(t.Context(), parse(t, ref), digest, nil); err == nil || errors.Is(err, image.ErrRefused) || errors.Is(err, image.ErrNone) {
		t.Fatalf("%v", err)
	}
	if left, err := os.ReadDir(filepath.Join(s.o.Dir, freshDir)); err != nil || len(left) > 0 {
		t.Errorf("half a layer is left: %v, %v", left, err)
	}
	h.on.Store(false)
	small := len(entriesOf(t, s.o.Dir, layersDir))
	before := h.blobs.Load()
	held, err := s.Hold(t.Context(), parse(t, ref), digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	held.Release()
	if asked := h.blobs.Load() - before; asked != int64(1+2-small) { // the configuration, and the layers that were not whole
		t.Errorf("%d blobs were asked for, with %d layers here", asked, small)
	}
}

func TestAServerThatIsKilledInAPullLeavesNothingHalf(t *testing.T) {
	t.Parallel()
	h := &halting{stop: make(chan struct{}), begun: make(chan struct{}, 10)}
	reg, dir := images.Serve(t, h.wrap), t.TempDir()
	ref, digest := reg.Push("x:1", smallAndLarge(t))
	h.on.Store(true)
	server := exec.Command("/proc/self/exe", serverArg, dir, ref, digest)
	said, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	for in := bufio.NewScanner(said); in.Scan() && in.Text() != "1"; { // the small layer is here, and the large one on its way
	}
	<-h.begun
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait() // it was killed
	if server.ProcessState.ExitCode() != -1 {
		t.Fatalf("it was not killed: %v", server.ProcessState)
	}
	close(h.stop)
	h.on.Store(false)
	if fresh := entriesOf(t, dir, freshDir); len(fresh) == 0 {
		t.Error("it was not killed in the middle")
	}
	s := open(t, Options{Dir: dir, Registries: []string{reg.Host}})
	if fresh, layers := entriesOf(t, dir, freshDir), entriesOf(t, dir, layersDir); len(fresh)+len(layers) > 0 {
		t.Errorf("the next server left %q and %q", fresh, layers)
	}
	held := hold(t, s, ref)
	if got := images.Tree(t, held.Layers[1]); len(got) != 101 {
		t.Errorf("%d entries", len(got))
	}
}

func entriesOf(t *testing.T, dir, sub string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, sub))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
