package store

import (
	"io"
	"sync"

	"github.com/conveyor-ci/conveyor/pipeline/image"
)

// tellEvery is after how many bytes of a layer a pull is told of.
const tellEvery = 50e6

// progress counts what several layers bring at once, and tells of it, one word at a time.
type progress struct {
	mu   sync.Mutex
	now  image.Progress
	told int64
	tell func(image.Progress)
}

func newProgress(layers int, tell func(image.Progress)) *progress {
	if tell == nil {
		tell = func(image.Progress) {}
	}
	p := &progress{now: image.Progress{Of: layers}, tell: tell}
	tell(p.now)
	return p
}

// layer says that one more is here.
func (p *progress) layer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now.Layers++
	p.told = p.now.Bytes
	p.tell(p.now)
}

func (p *progress) bytes(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now.Bytes += int64(n)
	if p.now.Bytes-p.told >= tellEvery {
		p.told = p.now.Bytes
		p.tell(p.now)
	}
}

// count counts what is read of a layer.
func (p *progress) count(from io.ReadCloser, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	return &counted{from, p}, nil
}

type counted struct {
	io.ReadCloser
	p *progress
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.p.bytes(n)
	return n, err
}
