package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
)

// forest is a generated tree that is the same on every machine: a folder of packages as their managers lay them out, with
// many small sources and a few programs. What is in it compresses about as sources and programs do.
type forest struct {
	dir   string
	files []leaf
}

type leaf struct {
	path string
	size int
	seed uint64
}

// The tree's measures: files, their bytes together, and the programs among them.
const (
	treeFiles    = 20_000
	treeBytes    = 454_000_000
	treePrograms = 6
	programBytes = 11_000_000
	treeSeed     = 20_011
)

// plant writes the tree below a folder that is in memory where there is room for it: what is measured is the store, and not
// how long this disk takes to make files.
func plant(files int, bytes int) (_ *forest, err error) {
	dir, err := os.MkdirTemp(roomy(bytes), "conveyor-bench-tree-")
	if err != nil {
		return nil, err
	}
	f := &forest{dir: dir}
	r := rand.New(rand.NewPCG(treeSeed, 1))
	weights, sum := make([]float64, files), 0.0
	for i := range weights {
		weights[i] = 1 + min(60, r.ExpFloat64()*r.ExpFloat64()*6)
		sum += weights[i]
	}
	small := float64(bytes - treePrograms*programBytes)
	for i := range files {
		l := leaf{path: fmt.Sprintf("modules/package-%03d/src-%d/file-%05d.go", i/64, i/16%4, i), size: int(small * weights[i] / sum), seed: uint64(i)}
		if i >= files-treePrograms {
			l.path, l.size = fmt.Sprintf("bin/program-%d", i-files+treePrograms), programBytes
		} else if i%11 == 10 { // as many files are the same as another: licences, and packages that are there twice
			l.size, l.seed = f.files[i-7].size, f.files[i-7].seed
		}
		f.files = append(f.files, l)
	}
	if err := f.write(f.files); err != nil {
		return nil, errors.Join(fmt.Errorf("write a tree of %d files: %w", files, err), f.fell())
	}
	return f, nil
}

// write writes files anew, on all processors.
func (f *forest) write(leaves []leaf) error {
	for _, l := range leaves {
		if err := os.MkdirAll(filepath.Join(f.dir, filepath.Dir(l.path)), 0o755); err != nil {
			return err
		}
	}
	workers := runtime.NumCPU()
	failed := make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			var text bytes.Buffer
			for i := w; i < len(leaves) && failed[w] == nil; i += workers {
				text.Reset()
				leaves[i].grow(&text)
				mode := os.FileMode(0o644)
				if leaves[i].size == programBytes {
					mode = 0o755
				}
				failed[w] = os.WriteFile(filepath.Join(f.dir, leaves[i].path), text.Bytes(), mode)
			}
		})
	}
	all.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// change gives every hundredth file another content of the same size below a folder, which is the tree's own or one that is
// laid over it.
func (f *forest) change(below string, round int) error {
	var changed []leaf
	for i := round % 100; i < len(f.files)-treePrograms; i += 100 {
		l := f.files[i]
		l.seed += uint64(round+1) << 32
		changed = append(changed, l)
	}
	return (&forest{dir: below}).write(changed)
}

// words are what sources consist of: few that are everywhere, many that are rare.
var words = func() [][]byte {
	r := rand.New(rand.NewPCG(treeSeed, 2))
	all := make([][]byte, 1<<12)
	for i := range all {
		word := make([]byte, 3+r.IntN(9))
		for k := range word {
			word[k] = "etaoinshrdlucmfwypvbgk_ETASR"[r.IntN(28)]
		}
		all[i] = append(word, " \t\n.(),;{}="[r.IntN(11)])
	}
	return all
}()

// grow writes the file's content: text, or for a program every other page what does not compress.
func (l leaf) grow(b *bytes.Buffer) {
	r := rand.New(rand.NewPCG(treeSeed, l.seed+3))
	program := l.size == programBytes
	var noise [512]byte
	for b.Len() < l.size {
		if program && b.Len()%8192 < 2048 {
			for i := 0; i < len(noise); i += 8 {
				binary.LittleEndian.PutUint64(noise[i:], r.Uint64())
			}
			b.Write(noise[:])
			continue
		}
		n := r.Uint64()
		if have := b.Len(); n&3 == 0 && have > 400 { // what stands somewhere is said again elsewhere
			from := int(n>>8) % (have - 100)
			b.Write(b.Bytes()[from : from+40+int(n>>2&31)])
			continue
		}
		for range 4 { // sixteen bits choose a word, the rarer the more of them are set
			pick := n & 0xffff
			b.Write(words[pick*pick>>16*pick>>20])
			n >>= 16
		}
	}
	b.Truncate(l.size)
}

// fell removes the tree.
func (f *forest) fell() error { return os.RemoveAll(f.dir) }

// roomy is a folder in memory with room for three times so many bytes, or else that of temporary files.
func roomy(bytes int) string {
	const memory = "/dev/shm"
	var st syscall.Statfs_t
	if err := syscall.Statfs(memory, &st); err != nil || st.Bavail*uint64(st.Bsize) < 3*uint64(bytes) {
		return os.TempDir()
	}
	return memory
}
