package logs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The ways a step's output can go from a pipe to a file, a million lines of a hundred bytes each time. The aim is that
// the Writer needs at most 1.5 times as long as cat.

func feed(b *testing.B, way func(r *os.File)) {
	line := []byte(fmt.Sprintf("%099d\n", 7))
	for i, word := range []string{"compile", "package", "internal/auth", "token", "ok", "0.034s"} {
		copy(line[i*15:], word)
	}
	block := bytes.Repeat(line, 640)
	b.SetBytes(100_000_000)
	for b.Loop() {
		r, w, err := os.Pipe()
		must(b, err)
		cmd := exec.Command("sh", "-c", "exec cat")
		cmd.Stdout = w
		in, err := cmd.StdinPipe()
		must(b, err)
		must(b, cmd.Start())
		must(b, w.Close())
		fed := make(chan error, 1)
		go func() {
			for range 1_000_000 / 640 {
				if _, err := in.Write(block); err != nil {
					fed <- err
					return
				}
			}
			fed <- in.Close()
		}()
		way(r)
		must(b, <-fed)
		must(b, cmd.Wait())
		must(b, r.Close())
	}
}

func BenchmarkAMillionLines(b *testing.B) {
	b.Run("cat", func(b *testing.B) {
		feed(b, func(r *os.File) {
			f, err := os.Create(filepath.Join(b.TempDir(), "log"))
			must(b, err)
			cmd := exec.Command("cat")
			cmd.Stdin, cmd.Stdout = r, f
			must(b, cmd.Run())
			must(b, f.Close())
		})
	})
	b.Run("copy", func(b *testing.B) {
		feed(b, func(r *os.File) {
			f, err := os.Create(filepath.Join(b.TempDir(), "log"))
			must(b, err)
			_, err = io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{r}, make([]byte, BlockSize))
			must(b, err)
			must(b, f.Close())
		})
	})
	for name, secrets := range map[string][]string{
		"no secrets":    nil,
		"three secrets": {"ghp_16C7e42F292c6912E7710c838347Ae178B4a", "correct horse battery staple", "AKIAIOSFODNN7EXAMPLE"},
		"short secrets": {"ab12", "hunter2", "s3cr3t"},
	} {
		b.Run("writer, "+name, func(b *testing.B) {
			s := opened(b)
			n := 0
			feed(b, func(r *os.File) {
				n++
				w, err := s.Writer(fmt.Sprint("run/", n), secrets, 1<<30)
				must(b, err)
				_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, BlockSize))
				must(b, err)
				must(b, w.Close())
			})
		})
	}
}

func BenchmarkMask(b *testing.B) {
	block := bytes.Repeat([]byte("ok  \tgithub.com/acme/shop/internal/cart\t0.034s  coverage: 81.4% of statements\n"), BlockSize/80)
	for name, secrets := range map[string][]string{
		"three secrets": {"ghp_16C7e42F292c6912E7710c838347Ae178B4a", "correct horse battery staple", "AKIAIOSFODNN7EXAMPLE"},
		"short secrets": {"ab12", "hunter2", "s3cr3t"},
	} {
		b.Run(name, func(b *testing.B) {
			m := newMasker(secrets)
			b.SetBytes(int64(len(block)))
			for b.Loop() {
				m.add(block)
				m.next(false)
			}
		})
	}
}
