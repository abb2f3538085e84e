package dir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/artifacttest"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

func TestTheSameBytesAreStoredOnceAcrossArtifactsAndRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := opened(t, dir)
	noise := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	root := artifacttest.Write(t, map[string]string{"noise": string(noise), "copy/of/it": string(noise), "a": "a"})
	m, err := s.Put(t.Context(), root, all, artifact.Limits{})
	must(t, err)
	once := s.packs[0].size
	if once > int64(len(noise))+4096 {
		t.Errorf("two equal files of %d bytes took %d", len(noise), once)
	}
	_, err = s.Put(t.Context(), root, all, artifact.Limits{})
	must(t, err)
	if s.packs[0].size != once {
		t.Errorf("the same artifact again took %d bytes more", s.packs[0].size-once)
	}
	must(t, s.Close())

	s = opened(t, dir)
	must(t, os.WriteFile(filepath.Join(root, "b"), []byte("b"), 0o644))
	_, err = s.Put(t.Context(), root, all, artifact.Limits{})
	must(t, err)
	if grown := s.packs[0].size - once; grown > 2048 {
		t.Errorf("an artifact with one small file more took %d bytes more", grown)
	}
	intact(t, s, m)
}

func TestARefusedPutStoresNothing(t *testing.T) {
	t.Parallel()
	s := opened(t, t.TempDir())
	root := artifacttest.Write(t, map[string]string{"a": "fine", "b": "link:/etc/passwd"})
	if _, err := s.Put(t.Context(), root, all, artifact.Limits{}); !errors.Is(err, artifact.ErrUnsafe) {
		t.Fatal(err)
	}
	if len(s.index) != 0 {
		t.Errorf("%d objects of a refused artifact are stored", len(s.index))
	}
}

// TestAFileThatLooksLikeAFrameIsNeverTakenForOne stores the bytes of a frame that claims another content for a
// digest, damages what stands before it, and reopens: the walk over the damage must not find it.
func TestAFileThatLooksLikeAFrameIsNeverTakenForOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := opened(t, dir)
	victim, err := s.Put(t.Context(), artifacttest.Write(t, map[string]string{"v": "victim"}), all, artifact.Limits{})
	must(t, err)
	digest, _ := frame.ParseDigest(victim.Files[0].Digest)
	guess := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	evil := head{Kind: blob, Codec: frame.Raw, Raw: 4, Stored: 4, Digest: digest}.AppendTo(nil, guess)
	before := s.packs[0].size
	_, err = s.Put(t.Context(), artifacttest.Write(t, map[string]string{"e": string(evil) + "evil"}), all, artifact.Limits{})
	must(t, err)
	f, salt := s.path(s.packs[0], packEnding), s.packs[0].salt
	must(t, s.Close())

	b, err := os.ReadFile(f)
	must(t, err)
	if bytes.Count(b, salt[:]) != 4 {
		t.Fatalf("the pack has %d frames, want 4", bytes.Count(b, salt[:]))
	}
	b[before] ^= 1 // the head of the frame that holds the evil file
	must(t, os.WriteFile(f, b, 0o600))
	must(t, os.RemoveAll(strings.TrimSuffix(f, packEnding)+indexEnding))
	s = opened(t, dir)
	intact(t, s, victim)
}

// full makes the last pack refuse bytes as a full disk does, until the returned function makes room.
func full(t *testing.T, s *Store) (makeRoom func()) {
	t.Helper()
	p := s.packs[len(s.packs)-1]
	good := p.file
	bad, err := os.OpenFile(s.path(p, packEnding), os.O_WRONLY|os.O_APPEND, 0) // WriteAt fails, Truncate does not
	must(t, err)
	p.file = bad
	return func() {
		p.file = good
		must(t, bad.Close())
	}
}

func TestAFullDiskFailsThePutAndNotTheStore(t *testing.T) {
	t.Parallel()
	s := opened(t, t.TempDir())
	first, err := s.Put(t.Context(), small(t), all, artifact.Limits{})
	must(t, err)
	makeRoom := full(t, s)
	root := artifacttest.Write(t, map[string]string{"new": "new"})
	if _, err := s.Put(t.Context(), root, all, artifact.Limits{}); !errors.Is(err, errThrownAway) {
		t.Fatalf("want the sentence that asks for room, got %v", err)
	}
	makeRoom()
	m, err := s.Put(t.Context(), root, all, artifact.Limits{})
	must(t, err)
	intact(t, s, first)
	intact(t, s, m)
}

// TestWhoLeanedOnLostBytesIsTold has one Put find a frame that another one's failed write then takes away.
func TestWhoLeanedOnLostBytesIsTold(t *testing.T) {
	t.Parallel()
	s := opened(t, t.TempDir())
	_, err := s.Put(t.Context(), small(t), all, artifact.Limits{})
	must(t, err)
	one, err := s.keeper()
	must(t, err)
	defer one.close()
	two, err := s.keeper()
	must(t, err)
	defer two.close()
	must(t, one.keepBytes([]byte("shared")))
	must(t, two.keepBytes([]byte("shared")))
	makeRoom := full(t, s)
	if err := s.commit(one.round); !errors.Is(err, errThrownAway) {
		t.Errorf("the first was told %v", err)
	}
	makeRoom()
	if err := s.commit(two.round); !errors.Is(err, errThrownAway) {
		t.Errorf("the second was told %v, but its bytes are gone", err)
	}
}

// BenchmarkTwentyThousandFiles stores, stores again, and lays out a tree like node_modules.
func BenchmarkTwentyThousandFiles(b *testing.B) {
	root := b.TempDir()
	words := rand.New(rand.NewPCG(1, 2))
	var total int64
	for i := range 20_000 {
		dir := filepath.Join(root, "node_modules", string(rune('a'+i%26)), string(rune('a'+i/26%26)), "lib")
		must(b, os.MkdirAll(dir, 0o755))
		var text strings.Builder
		for range 50 + words.IntN(1500) {
			text.WriteString([]string{"function ", "return ", "const ", "=> {", "}\n", "this.", "x1", "value", "(", ");\n"}[words.IntN(10)])
		}
		total += int64(text.Len())
		must(b, os.WriteFile(filepath.Join(dir, fmt.Sprint(i, ".js")), []byte(text.String()), 0o644))
	}
	ctx := context.Background()
	b.Run("store", func(b *testing.B) {
		b.SetBytes(total)
		for b.Loop() {
			_, err := opened(b, b.TempDir()).Put(ctx, root, all, artifact.Limits{})
			must(b, err)
		}
	})
	s := opened(b, b.TempDir())
	m, err := s.Put(ctx, root, all, artifact.Limits{})
	must(b, err)
	b.Run("store again", func(b *testing.B) {
		b.SetBytes(total)
		for b.Loop() {
			_, err := s.Put(ctx, root, all, artifact.Limits{})
			must(b, err)
		}
	})
	b.Run("lay out", func(b *testing.B) {
		b.SetBytes(total)
		for b.Loop() {
			_, err := s.Extract(ctx, m.Digest(), filepath.Join(b.TempDir(), "out"), artifact.Limits{})
			must(b, err)
		}
	})
}
