package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestTheGeneratedTreeIsTheSameEverywhereAndCompressesLikeSources(t *testing.T) {
	t.Parallel()
	f, err := plant(60, treePrograms*programBytes+900_000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.fell(); err != nil {
			t.Error(err)
		}
	})
	var all bytes.Buffer
	sum := sha256.New()
	for _, l := range f.files {
		content, err := os.ReadFile(filepath.Join(f.dir, l.path))
		if err != nil || len(content) != l.size {
			t.Fatalf("%s has %d bytes, want %d: %v", l.path, len(content), l.size, err)
		}
		sum.Write(content)
		if l.size != programBytes {
			all.Write(content)
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)[:8]); got != "90e412c17fe4559c" {
		t.Errorf("its content is %s", got)
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	if part := float64(len(encoder.EncodeAll(all.Bytes(), nil))) / float64(all.Len()); part < 0.2 || part > 0.45 {
		t.Errorf("its sources compress to %.2f", part)
	}
	before := sum.Sum(nil)
	if err := f.change(f.dir, 3); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(f.dir, f.files[3].path))
	if err != nil || len(content) != f.files[3].size {
		t.Fatalf("the changed file has %d bytes: %v", len(content), err)
	}
	if sum.Write(content); bytes.Equal(before, sum.Sum(nil)) {
		t.Error("nothing changed")
	}
}
