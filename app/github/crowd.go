package github

import (
	"io"
	"net/http"
	"sync"
)

// crowd bounds how many requests of all installations are on their way at once. It stands below everything that may ask
// for a token in the middle of a call, so that nobody waits for a place while holding one.
type crowd struct {
	next   http.RoundTripper
	places chan struct{}
}

func (c *crowd) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case c.places <- struct{}{}:
	case <-req.Context().Done():
		return nil, unsent{&Unavailable{Err: req.Context().Err()}}
	}
	leave := sync.OnceFunc(func() { <-c.places })
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		leave()
		return nil, err
	}
	resp.Body = &leaving{resp.Body, leave}
	return resp, nil
}

// leaving gives the place back when the answer has been read.
type leaving struct {
	io.ReadCloser
	leave func()
}

func (l *leaving) Close() error {
	defer l.leave()
	return l.ReadCloser.Close()
}
