package dir

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/artifacttest"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/frame"
)

// childStore tells the test program to be a process that stores artifacts until it is killed.
const childStore = "ARTIFACT_TEST_STORE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childStore); dir != "" {
		os.Exit(child(dir, os.Getenv(childStore+"_ROOT")))
	}
	os.Exit(m.Run())
}

// child stores one new artifact after the other and names each on its standard output after Put returned.
func child(dir, root string) int {
	s, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for i := 0; ; i++ {
		for j := range 20 {
			content := strings.Repeat(fmt.Sprintf("%d of %d\n", j, i), 1<<(j%15))
			if err := os.WriteFile(filepath.Join(root, fmt.Sprint(j)), []byte(content), 0o644); err != nil {
				fmt.Println(err)
				return 1
			}
		}
		m, err := s.Put(context.Background(), root, all, artifact.Limits{})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(m.Digest())
	}
}

func TestAKilledPutLeavesEarlierArtifactsIntact(t *testing.T) {
	t.Parallel()
	dir, root := t.TempDir(), t.TempDir()
	var stored []pipeline.Digest
	for round := range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childStore+"="+dir, childStore+"_ROOT="+root)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for range 3 + round { // then it is in the middle of the next one
			if !lines.Scan() || !pipeline.Digest(lines.Text()).Valid() {
				t.Fatalf("the child said %q", lines.Text())
			}
			stored = append(stored, pipeline.Digest(lines.Text()))
		}
		must(t, cmd.Process.Kill())
		for lines.Scan() {
			stored = append(stored, pipeline.Digest(lines.Text()))
		}
		_ = cmd.Wait() // it was killed, and says so

		s, err := Open(dir, slog.New(slog.DiscardHandler))
		must(t, err)
		for _, digest := range stored {
			if _, err := s.Extract(t.Context(), digest, filepath.Join(t.TempDir(), "out"), artifact.Limits{}); err != nil {
				t.Errorf("after kill %d: %v", round+1, err)
			}
		}
		must(t, s.Close())
	}
}

func TestASecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := opened(t, dir)
	if _, err := Open(dir, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrInUse) {
		t.Errorf("a second store in this process: want ErrInUse, got %v", err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childStore+"="+dir, childStore+"_ROOT="+t.TempDir())
	out, err := cmd.Output()
	if err == nil || !strings.Contains(string(out), "in use by another process") {
		t.Errorf("another process said %q, %v", out, err)
	}
	must(t, s.Close())
	again := opened(t, dir) // the lock went with the store
	must(t, again.Close())
}

// small is a workspace that makes every kind of frame: raw, compressed, a list, a manifest.
func small(t testing.TB) string {
	return artifacttest.Write(t, map[string]string{
		"raw":  "no pattern",
		"text": strings.Repeat("compress me ", smallChunk/12),
		"long": strings.Repeat("0123456789abcdef", smallChunk/16*2+1), // two chunks, and a short one
	})
}

// smallChunk is less than the manifest has, so that this has a list, too.
const smallChunk = 256

func openSmall(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := open(dir, slog.New(slog.DiscardHandler), 1<<30, smallChunk)
	must(t, err)
	return s
}

var all = []string{"**"}

func TestATornTailOfAnyLengthIsCutAndEarlierArtifactsStay(t *testing.T) {
	t.Parallel()
	from := t.TempDir()
	s := openSmall(t, from)
	first, err := s.Put(t.Context(), artifacttest.Write(t, map[string]string{"a": "first"}), all, artifact.Limits{})
	must(t, err)
	safe := s.packs[0].size
	root := small(t)
	second, err := s.Put(t.Context(), root, all, artifact.Limits{})
	must(t, err)
	name := s.packs[0].name + packEnding
	must(t, s.Close())
	whole, err := os.ReadFile(filepath.Join(from, name))
	must(t, err)

	to := t.TempDir()
	for size := safe; size < int64(len(whole)); size++ {
		dir := filepath.Join(to, fmt.Sprint(size))
		must(t, os.Mkdir(dir, 0o700))
		must(t, os.WriteFile(filepath.Join(dir, name), whole[:size], 0o600))
		s := openSmall(t, dir)
		if m, err := s.Manifest(t.Context(), first.Digest()); err != nil || m.Digest() != first.Digest() {
			t.Fatalf("torn at %d: the first artifact is gone: %v", size, err)
		}
		if _, err := s.Manifest(t.Context(), second.Digest()); err == nil {
			t.Fatalf("torn at %d: the second artifact came back", size)
		}
		if st, err := s.packs[0].file.Stat(); err != nil || st.Size() != s.packs[0].size {
			t.Fatalf("torn at %d: the next frame would go to %d of %d bytes", size, s.packs[0].size, st.Size())
		}
		// What comes after the cut must be found again, by this process and by the next one.
		if size%64 == 0 || size == int64(len(whole))-1 {
			_, err = s.Put(t.Context(), root, all, artifact.Limits{})
			must(t, err)
			must(t, os.RemoveAll(filepath.Join(dir, s.packs[0].name+indexEnding)))
			intact(t, s, second)
			must(t, s.Close())
			s = openSmall(t, dir)
			intact(t, s, first)
			intact(t, s, second)
		}
		must(t, s.Close())
		must(t, os.RemoveAll(dir))
	}
}

func TestAFlippedByteAnywhereNeverGivesWrongBytes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openSmall(t, dir)
	root := small(t)
	m, err := s.Put(t.Context(), root, all, artifact.Limits{})
	must(t, err)
	path := s.path(s.packs[0], packEnding)
	must(t, s.Close())
	index := strings.TrimSuffix(path, packEnding) + indexEnding
	whole, err := os.ReadFile(path)
	must(t, err)
	indexed, err := os.ReadFile(index)
	must(t, err)
	want := artifacttest.Tree(t, root)

	lost, out := 0, filepath.Join(t.TempDir(), "out")
	for at := range whole {
		withIndex := at%2 == 0
		broken := bytes.Clone(whole)
		broken[at] ^= 1 << (at % 8)
		rewrite(t, path, broken)
		must(t, os.RemoveAll(index))
		if withIndex {
			rewrite(t, index, indexed)
		}
		s := openSmall(t, dir)
		_, err := s.Extract(t.Context(), m.Digest(), out, artifact.Limits{})
		if err == nil {
			t.Fatalf("byte %d: nobody noticed", at)
		} else if !errors.Is(err, artifact.ErrCorrupt) && !errors.Is(err, artifact.ErrNotFound) {
			t.Fatalf("byte %d: want ErrCorrupt or ErrNotFound, got %v", at, err)
		}
		for _, f := range m.Files {
			r, err := s.Open(t.Context(), f.Digest)
			if err != nil {
				lost++
				continue
			}
			b, err := io.ReadAll(r)
			if err != nil {
				lost++
			} else if string(b) != want[f.Path] {
				t.Fatalf("byte %d: %s came back wrong and without an error", at, f.Path)
			}
		}
		// Storing the same once more must not lean on the damaged frame.
		if at%32 == 1 {
			_, err = s.Put(t.Context(), root, all, artifact.Limits{})
			must(t, err)
			intact(t, s, m)
		}
		must(t, s.Close())
	}
	if lost == 0 {
		t.Error("no damage was found while files were read")
	}
}

func TestDamageInTheMiddleLosesOnlyWhatItHit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openSmall(t, dir)
	var stored []artifact.Manifest
	for i := range 3 {
		m, err := s.Put(t.Context(), artifacttest.Write(t, map[string]string{"f": fmt.Sprint("file ", i)}), all, artifact.Limits{})
		must(t, err)
		stored = append(stored, m)
	}
	path := s.path(s.packs[0], packEnding)
	must(t, s.Close())
	b, err := os.ReadFile(path)
	must(t, err)
	b[30] ^= 1 // the first head
	rewrite(t, path, b)
	must(t, os.Remove(strings.TrimSuffix(path, packEnding)+indexEnding))
	s = openSmall(t, dir)
	if _, err := artifacttest.Content(t.Context(), s, stored[0].Files[0]); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("the damaged file: %v", err)
	}
	intact(t, s, stored[1])
	intact(t, s, stored[2])
	must(t, s.Close())
}

// TestASoundFrameWithOtherBytesIsRefused forges frames whose checksums are right, as someone with access to the disk
// can, so that only the SHA-256 can tell.
func TestASoundFrameWithOtherBytesIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openSmall(t, dir)
	root := small(t)
	m, err := s.Put(t.Context(), root, all, artifact.Limits{})
	must(t, err)
	p := s.packs[0]
	forge := func(digest pipeline.Digest, kind byte, payload []byte) {
		sum, _ := frame.ParseDigest(digest)
		h := head{Kind: kind, Raw: uint32(len(payload)), Stored: uint32(len(payload)), Sum: frame.Checksum(payload), Digest: sum}
		s.index[frame.KeyOf(sum)] = place{0, uint32(p.size)}
		b := append(h.AppendTo(nil, p.salt), payload...)
		_, err := p.file.WriteAt(b, p.size)
		must(t, err)
		p.size += int64(len(b))
	}
	other := artifact.Manifest{Files: []artifact.File{m.Files[0]}}.Encode()
	chunks := binary.LittleEndian.AppendUint64(nil, uint64(m.Files[0].Size)) // a list without any chunk
	for _, f := range m.Files {
		forge(f.Digest, blob, []byte("forged"))
		if _, err := artifacttest.Content(t.Context(), s, f); !errors.Is(err, artifact.ErrCorrupt) {
			t.Errorf("%s as a blob: %v", f.Path, err)
		}
		one, _ := frame.ParseDigest(artifact.DigestOf([]byte("no pattern")))
		forge(f.Digest, list, append(bytes.Clone(chunks), one[:]...))
		if content, err := artifacttest.Content(t.Context(), s, f); f.Path != "raw" && !errors.Is(err, artifact.ErrCorrupt) {
			t.Errorf("%s as a list of another file: %q, %v", f.Path, content, err)
		}
		forge(f.Digest, list, chunks)
		if content, err := artifacttest.Content(t.Context(), s, f); !errors.Is(err, artifact.ErrCorrupt) {
			t.Errorf("%s as an empty list: %q, %v", f.Path, content, err)
		}
	}
	forge(m.Digest(), blob, other)
	if got, err := s.Manifest(t.Context(), m.Digest()); !errors.Is(err, artifact.ErrCorrupt) {
		t.Errorf("a forged manifest gave %v, %v", got, err)
	}
	must(t, s.Close())
}

func TestADamagedIndexFileIsNotBelieved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openSmall(t, dir)
	m, err := s.Put(t.Context(), small(t), all, artifact.Limits{})
	must(t, err)
	index := s.path(s.packs[0], indexEnding)
	must(t, s.Close())
	whole, err := os.ReadFile(index)
	must(t, err)
	for at := range whole {
		for _, broken := range [][]byte{whole[:at], append(append(bytes.Clone(whole[:at]), whole[at]^0x10), whole[at+1:]...)} {
			rewrite(t, index, broken)
			s := openSmall(t, dir)
			intact(t, s, m)
			must(t, s.Close())
		}
	}
}

// rewrite makes the file anew: writing over one makes some file systems wait for the disk at close.
func rewrite(t testing.TB, path string, b []byte) {
	t.Helper()
	must(t, os.RemoveAll(path))
	must(t, os.WriteFile(path, b, 0o600))
}

func intact(t *testing.T, s *Store, m artifact.Manifest) {
	t.Helper()
	got, err := s.Manifest(t.Context(), m.Digest())
	must(t, err)
	for _, f := range got.Files {
		_, err := artifacttest.Content(t.Context(), s, f)
		must(t, err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
