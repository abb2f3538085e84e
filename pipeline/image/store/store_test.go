package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/pipeline/image"
	"github.com/conveyor-ci/conveyor/test/images"
)

// served is a registry, and a store that may ask it.
func served(t *testing.T, o Options, wrap ...func(http.Handler) http.Handler) (*images.Server, *Store) {
	t.Helper()
	reg := images.Serve(t, wrap...)
	o.Registries = append(o.Registries, reg.Host)
	return reg, open(t, o)
}

func pushed(reg *images.Server, img v1.Image) string {
	ref, _ := reg.Push("x:1", img)
	return ref
}

func parse(t *testing.T, ref string) image.Ref {
	t.Helper()
	r, err := image.Parse(ref)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// got looks an image up and holds it until the end of the test.
func got(t *testing.T, s *Store, ref string) (image.Held, error) {
	t.Helper()
	r := parse(t, ref)
	digest, err := s.Resolve(t.Context(), r)
	if err != nil {
		return image.Held{}, err
	}
	h, err := s.Hold(t.Context(), r, digest, nil)
	if err == nil {
		t.Cleanup(h.Release)
	}
	return h, err
}

func hold(t *testing.T, s *Store, ref string) image.Held {
	t.Helper()
	h, err := got(t, s, ref)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// one is an image of one file.
func one(t *testing.T, text string) v1.Image {
	t.Helper()
	return images.Image(t, []string{"WHO=" + text, "PATH=/opt/bin:/bin", "BROKEN", "=x"}, images.Layer(t, images.Entry{Name: "text", Text: text}))
}

// requests counts what a registry is asked for.
type requests struct{ manifests, blobs atomic.Int64 }

func (r *requests) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch {
		case q.Method != http.MethodGet:
		case strings.Contains(q.URL.Path, "/manifests/"):
			r.manifests.Add(1)
		case strings.Contains(q.URL.Path, "/blobs/"):
			r.blobs.Add(1)
		}
		next.ServeHTTP(w, q)
	})
}

func TestAnImageIsPulledOnceAndTakenWithoutAskingAfterwards(t *testing.T) {
	t.Parallel()
	var asked requests
	reg, s := served(t, Options{}, asked.wrap)
	ref, digest := reg.Push("x:1", one(t, "hello"))
	h := hold(t, s, ref)
	if h.Digest != digest || len(h.Layers) != 1 || h.Size != 5 || strings.Join(h.Env, " ") != "WHO=hello PATH=/opt/bin:/bin" {
		t.Errorf("%+v", h)
	}
	if p := h.Program; len(p.Entrypoint) != 1 || p.Entrypoint[0] != "/no/such/entrypoint" || p.Command != nil || p.User != "root" || p.Dir != "/nowhere" {
		t.Errorf("%+v", p)
	}
	if text, err := os.ReadFile(filepath.Join(h.Layers[0], "text")); err != nil || string(text) != "hello" {
		t.Errorf("%q, %v", text, err)
	}
	before := asked.manifests.Load() + asked.blobs.Load()
	again, err := s.Hold(t.Context(), parse(t, ref), digest, func(image.Progress) { t.Error("something was pulled") })
	if err != nil || again.Layers[0] != h.Layers[0] {
		t.Errorf("%+v, %v", again, err)
	}
	again.Release()
	pinned := parse(t, strings.TrimSuffix(ref, ":1")+"@"+digest)
	if d, err := s.Resolve(t.Context(), pinned); err != nil || d != digest {
		t.Errorf("%s, %v", d, err)
	}
	if now := asked.manifests.Load() + asked.blobs.Load(); now != before {
		t.Errorf("%d requests for what is here", now-before)
	}
}

func TestWhatATagStoodForIsPulledWhateverItStandsForNow(t *testing.T) {
	t.Parallel()
	reg, s := served(t, Options{})
	ref, old := reg.Push("x:1", one(t, "old"))
	_, next := reg.Push("x:1", one(t, "new"))
	for digest, want := range map[string]string{old: "old", next: "new"} {
		h, err := s.Hold(t.Context(), parse(t, ref), digest, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Release()
		if text, err := os.ReadFile(filepath.Join(h.Layers[0], "text")); err != nil || string(text) != want {
			t.Errorf("%s is %q, %v", digest, text, err)
		}
	}
}

func TestTwoWhoWantOneLayerPullItOnce(t *testing.T) {
	t.Parallel()
	var asked requests
	reg, s := served(t, Options{}, asked.wrap)
	shared := images.Layer(t, images.Entry{Name: "shared", Text: strings.Repeat("x", 1<<20)})
	refs := make([]string, 6)
	for i := range refs {
		refs[i], _ = reg.Push("x:"+string(rune('a'+i%3)), images.Image(t, []string{"N=" + string(rune('a'+i%3))}, shared))
	}
	asked.blobs.Store(0)
	var all sync.WaitGroup
	for _, ref := range refs {
		all.Go(func() {
			if _, err := got(t, s, ref); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := asked.blobs.Load(); n != 1+3 { // the layer, and the three configurations
		t.Errorf("%d blobs were asked for", n)
	}
	if left, err := os.ReadDir(filepath.Join(s.o.Dir, layersDir)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestWhoGivesUpDoesNotTakeTheOthersAlong(t *testing.T) {
	t.Parallel()
	begun, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	reg, s := served(t, Options{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Method == http.MethodGet && strings.Contains(q.URL.Path, "/blobs/") {
				once.Do(func() {
					close(begun)
					<-goOn
				})
			}
			next.ServeHTTP(w, q)
		})
	})
	ref, digest := reg.Push("x:1", one(t, "hello"))
	ctx, cancel := context.WithCancel(t.Context())
	firstEnded, secondEnded := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.Hold(ctx, parse(t, ref), digest, nil)
		firstEnded <- err
	}()
	<-begun
	go func() {
		h, err := s.Hold(t.Context(), parse(t, ref), digest, nil)
		if err == nil {
			h.Release()
		}
		secondEnded <- err
	}()
	cancel()
	if err := <-firstEnded; !errors.Is(err, context.Canceled) {
		t.Errorf("the first one: %v", err)
	}
	close(goOn)
	if err := <-secondEnded; err != nil {
		t.Errorf("the second one: %v", err)
	}
}

func TestWhatARegistryDoesNotHaveIsThePlansFaultAndWhatItCannotGiveIsNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		fault  error
	}{
		"not found": {http.StatusNotFound, image.ErrNone}, "not known": {http.StatusUnauthorized, image.ErrNone}, "not allowed": {http.StatusForbidden, image.ErrNone},
		"out of order": {http.StatusInternalServerError, nil}, "too busy": {http.StatusTooManyRequests, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, s := served(t, Options{}, func(http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
					if q.URL.Path == "/v2/" {
						return
					}
					w.WriteHeader(c.status)
				})
			})
			_, err := s.Resolve(t.Context(), parse(t, s.o.Registries[0]+"/octo/missing:7"))
			if err == nil || errors.Is(err, image.ErrNone) != (c.fault != nil) || errors.Is(err, image.ErrRefused) || !strings.Contains(err.Error(), "octo/missing:7") {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		s := open(t, Options{Registries: []string{"127.0.0.1:1"}})
		if _, err := s.Resolve(t.Context(), parse(t, "127.0.0.1:1/x")); err == nil || errors.Is(err, image.ErrNone) || errors.Is(err, image.ErrRefused) {
			t.Errorf("%v", err)
		}
	})
}

func TestBytesThatAreNotWhatTheyAreNamedAreNotKept(t *testing.T) {
	t.Parallel()
	img := one(t, "right")
	wrong, err := one(t, "wrong").Layers()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("in a blob", func(t *testing.T) {
		t.Parallel()
		spoil := &spoiler{}
		reg, s := served(t, Options{}, spoil.wrap)
		ref := pushed(reg, img)
		spoil.on.Store(true)
		_, err := got(t, s, ref)
		if err == nil || errors.Is(err, image.ErrRefused) || errors.Is(err, image.ErrNone) {
			t.Errorf("%v", err)
		}
		nothing(t, s)
	})
	t.Run("in the configuration's word for a layer", func(t *testing.T) {
		t.Parallel()
		reg, s := served(t, Options{})
		c, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		c = c.DeepCopy()
		if c.RootFS.DiffIDs[0], err = wrong[0].DiffID(); err != nil {
			t.Fatal(err)
		}
		lying, err := mutate.ConfigFile(img, c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := got(t, s, pushed(reg, lying)); err == nil || !strings.Contains(err.Error(), "other bytes than it names") {
			t.Errorf("%v", err)
		}
		nothing(t, s)
	})
}

// spoiler changes a byte of each blob.
type spoiler struct{ on atomic.Bool }

func (s *spoiler) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if s.on.Load() && strings.Contains(q.URL.Path, "/blobs/") {
			w = &spoiled{ResponseWriter: w}
		}
		next.ServeHTTP(w, q)
	})
}

type spoiled struct {
	http.ResponseWriter
	done bool
}

func (s *spoiled) Write(p []byte) (int, error) {
	if !s.done && len(p) > 20 {
		p = append([]byte(nil), p...)
		p[len(p)-15] ^= 1
		s.done = true
	}
	return s.ResponseWriter.Write(p)
}

// nothing says that a store has nothing: no layer, no image, and nothing half made.
func nothing(t *testing.T, s *Store) {
	t.Helper()
	for _, dir := range []string{layersDir, imagesDir, freshDir} {
		if left, err := os.ReadDir(filepath.Join(s.o.Dir, dir)); err != nil || len(left) > 0 {
			t.Errorf("%s has %v, %v", dir, left, err)
		}
	}
}

func TestAnImageThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	for name, layers := range map[string][]v1.Layer{
		"as it is told":   {images.Layer(t, images.Entry{Name: "a", Text: noise(300 << 10)})},
		"when unpacked":   {images.Raw(t, unzipped(t, bomb(t, 1<<20)))},
		"all its layers":  {images.Layer(t, images.Entry{Name: "a", Text: strings.Repeat("x", 90<<10)}), images.Layer(t, images.Entry{Name: "b", Text: strings.Repeat("y", 90<<10)})},
		"behind its tail": {images.Raw(t, append(images.Archive(t, images.Entry{Name: "a"}), make([]byte, 1<<20)...))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg, s := served(t, Options{MaxBytes: 100 << 10})
			if _, err := got(t, s, pushed(reg, images.Image(t, nil, layers...))); !errors.Is(err, image.ErrRefused) || !strings.Contains(err.Error(), "CONVEYOR_IMAGE_MAX_BYTES") {
				t.Errorf("%v", err)
			}
			nothing(t, s)
		})
	}
}

func TestAllLayersOfAnImageShareItsLimitOfEntries(t *testing.T) {
	t.Parallel()
	reg, s := served(t, Options{MaxEntries: 5})
	three := func(name string) v1.Layer {
		return images.Layer(t, images.Entry{Name: name}, images.Entry{Name: name + "/"}, images.Entry{Name: name})
	}
	hold(t, s, pushed(reg, images.Image(t, nil, three("a"))))
	if _, err := got(t, s, pushed(reg, images.Image(t, nil, three("b"), three("a")))); !errors.Is(err, image.ErrRefused) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(filepath.Join(s.o.Dir, layersDir)); err != nil || len(left) != 1 {
		t.Errorf("%d layers are left, %v", len(left), err)
	}
}

func TestAnImageForAnotherMachineIsRefused(t *testing.T) {
	t.Parallel()
	reg, s := served(t, Options{})
	img := one(t, "x")
	c := images.Config(t, img, nil)
	c.Architecture = "s390x"
	other, err := mutate.ConfigFile(img, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := got(t, s, pushed(reg, other)); !errors.Is(err, image.ErrRefused) || !strings.Contains(err.Error(), "linux/s390x") {
		t.Errorf("%v", err)
	}
}

func TestAnIndexStandsForTheImageOfThisMachine(t *testing.T) {
	t.Parallel()
	reg, s := served(t, Options{})
	other := one(t, "other")
	ref, digest := reg.PushIndex("x:1", map[string]v1.Image{"s390x": other, platform.Architecture: one(t, "ours")})
	h := hold(t, s, ref)
	if text, err := os.ReadFile(filepath.Join(h.Layers[0], "text")); err != nil || string(text) != "ours" || h.Digest != digest {
		t.Errorf("%q of %s, %v", text, h.Digest, err)
	}
	ref, _ = reg.PushIndex("x:2", map[string]v1.Image{"s390x": other})
	if _, err := got(t, s, ref); !errors.Is(err, image.ErrRefused) || !strings.Contains(err.Error(), "linux/"+platform.Architecture) {
		t.Errorf("%v", err)
	}
}

func TestProgressIsToldLayerByLayer(t *testing.T) {
	t.Parallel()
	reg, s := served(t, Options{})
	ref, digest := reg.Push("x:1", images.Image(t, nil, images.Layer(t, images.Entry{Name: "a", Text: "1"}), images.Layer(t, images.Entry{Name: "b", Text: "2"})))
	var told []image.Progress
	h, err := s.Hold(t.Context(), parse(t, ref), digest, func(p image.Progress) { told = append(told, p) })
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	if len(told) != 3 || told[0] != (image.Progress{Of: 2}) || told[2].Layers != 2 || told[2].Of != 2 || told[2].Bytes == 0 {
		t.Errorf("%v", told)
	}
}

func TestWhatWasNotCompletedIsSweptAndWhatWasIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	reg, s := served(t, Options{Dir: dir})
	ref := pushed(reg, one(t, "kept"))
	h := hold(t, s, ref)
	h.Release()
	if _, err := Open(Options{Dir: dir, FirstID: first}); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("two servers have one store: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// As a server that was killed leaves it: a layer half unpacked, one without its name in an image, one without its end.
	for path, text := range map[string]string{
		"fresh/layer-1/fs/half": "x", "layers/" + strings.Repeat("a", 64) + "/fs/x": "x", "layers/" + strings.Repeat("b", 64) + "/about": `{"size": 1}`,
		"images/" + strings.Repeat("c", 64) + ".json": `{"digest": "sha256:` + strings.Repeat("c", 64) + `", "layers": ["sha256:` + strings.Repeat("d", 64) + `"]}`,
		"images/" + strings.Repeat("e", 64) + ".json": `{`,
	} {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755), os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	next := open(t, Options{Dir: dir})
	for sub, n := range map[string]int{layersDir: 1, imagesDir: 1, freshDir: 0} {
		if left, err := os.ReadDir(filepath.Join(dir, sub)); err != nil || len(left) != n {
			t.Errorf("%s has %v, %v", sub, left, err)
		}
	}
	again, err := next.Hold(t.Context(), parse(t, ref), h.Digest, nil) // no registry may be asked by this one
	if err != nil || again.Layers[0] != h.Layers[0] || strings.Join(again.Env, " ") != strings.Join(h.Env, " ") {
		t.Errorf("%+v, %v", again, err)
	}
	again.Release()
}

// An earlier version kept less of an image's configuration than is needed now.
func TestAnImageOfAnEarlierVersionIsAskedForAgainWithoutItsLayers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var asked requests
	reg, s := served(t, Options{Dir: dir}, asked.wrap)
	ref := pushed(reg, one(t, "kept"))
	h := hold(t, s, ref)
	h.Release()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file := s.recordFile(h.Digest)
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, bytes.Replace(text, []byte(`"form":1`), []byte(`"form":0`), 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	next, blobs := open(t, Options{Dir: dir, Registries: []string{reg.Host}}), asked.blobs.Load()
	if again := hold(t, next, ref); again.Program.User != "root" || again.Layers[0] != h.Layers[0] {
		t.Errorf("%+v", again)
	}
	if n := asked.blobs.Load() - blobs; n != 1 {
		t.Errorf("%d pieces were fetched again, and not the configuration alone", n)
	}
}

func TestTheLongestUnusedGoesFirstAndWhatIsHeldStays(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	reg, s := served(t, Options{Keep: 250, Now: func() time.Time {
		now = now.Add(time.Second)
		return now
	}})
	push := func(tag, text string) string {
		ref, _ := reg.Push("x:"+tag, images.Image(t, nil, images.Layer(t, images.Entry{Name: "f", Text: strings.Repeat(text, 100)})))
		return ref
	}
	has := func(h image.Held) bool {
		_, err := os.Stat(h.Layers[0])
		return !errors.Is(err, fs.ErrNotExist)
	}
	held := hold(t, s, push("a", "a"))
	used := hold(t, s, push("b", "b"))
	used.Release()
	third := hold(t, s, push("c", "c"))
	third.Release()
	if !has(held) || has(used) || !has(third) {
		t.Errorf("the oldest that nobody holds should be gone: %t %t %t", has(held), has(used), has(third))
	}
	fourth := hold(t, s, push("d", "d"))
	if !has(held) || has(third) || !has(fourth) {
		t.Errorf("the next one should be gone: %t %t %t", has(held), has(third), has(fourth))
	}
	fifth := hold(t, s, push("e", "e"))
	if !has(held) || !has(fourth) || !has(fifth) {
		t.Error("what is held was removed")
	}
	held.Release()
	held.Release()
	if err := s.Collect(); err != nil || has(held) || !has(fourth) || !has(fifth) {
		t.Errorf("what was released should be gone: %v", err)
	}
}

func TestAFolderThatCannotHoldLayersIsFoundOutAtTheStart(t *testing.T) {
	t.Parallel()
	over, lower := t.TempDir(), t.TempDir()
	inner := t.TempDir()
	for _, d := range []string{"up", "work"} {
		if err := os.Mkdir(filepath.Join(over, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount("test", inner, "overlay", 0, "lowerdir="+lower+",upperdir="+over+"/up,workdir="+over+"/work"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(inner, 0); err != nil {
			t.Error(err)
		}
	})
	if _, err := Open(Options{Dir: filepath.Join(inner, "images"), FirstID: first}); !errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), inner) {
		t.Errorf("%v", err)
	}
}
