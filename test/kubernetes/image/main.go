// Command image writes an archive with the image of the process that holds a pod's namespaces: itself.
package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/conveyor-ci/conveyor/test/images"
)

func main() {
	if len(os.Args) < 2 {
		hold()
		return
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// hold does nothing until it is told to end.
func hold() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
}

type fatal struct{}

func (fatal) Helper()        {}
func (fatal) Cleanup(func()) {}
func (fatal) Fatal(args ...any) {
	fmt.Fprintln(os.Stderr, args...)
	os.Exit(1)
}

func write(to string) error {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	img := images.Image(fatal{}, nil, images.Layer(fatal{}, images.Entry{Name: "pause", Text: string(self), Header: func(h *tar.Header) { h.Mode = 0o755 }}))
	img, err = images.Starts(img, "/pause")
	if err != nil {
		return err
	}
	tag, err := name.NewTag("conveyor.test/pause:1")
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := tarball.Write(tag, img, &b); err != nil {
		return err
	}
	return os.WriteFile(to, b.Bytes(), 0o600)
}
