package app

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
)

// shows is a page of one word.
func shows(word string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, word) })
}

func opened(t *testing.T) (f *front, url string) {
	t.Helper()
	f, err := newFront(context.Background(), "127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.close(); err != nil {
			t.Error(err)
		}
	})
	return f, "http://" + f.listener.Addr().String()
}

// ask posts once, and tells whether a connection that was there was used.
func ask(client *http.Client, url string) (answer string, reused bool, err error) {
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return "", false, err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", reused, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), reused, err
}

func TestARequestThatHasBegunIsFinishedByWhatWasShownAndTheNextOneByWhatIs(t *testing.T) {
	t.Parallel()
	f, url := opened(t)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	f.show(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			<-goOn
		}
		_, _ = io.WriteString(w, "set-up")
	}))
	f.begin()
	client := &http.Client{Transport: &http.Transport{}}
	if answer, _, err := ask(client, url); answer != "set-up" || err != nil {
		t.Fatalf("%q %v", answer, err)
	}
	slow := make(chan string, 1)
	go func() {
		answer, _, err := ask(&http.Client{Transport: &http.Transport{}}, url+"/slow")
		if err != nil {
			answer = err.Error()
		}
		slow <- answer
	}()
	<-arrived
	f.show(shows("serving"))
	answer, reused, err := ask(client, url)
	if answer != "serving" || !reused || err != nil {
		t.Errorf("over the connection of before (%v): %q %v", reused, answer, err)
	}
	if answer, reused, err := ask(&http.Client{Transport: &http.Transport{}}, url); answer != "serving" || reused || err != nil {
		t.Errorf("over a new connection: %q %v", answer, err)
	}
	close(goOn)
	if answer := <-slow; answer != "set-up" {
		t.Errorf("what had begun ended with %q", answer)
	}
}

func TestNobodyIsCutOffWhileWhatIsShownChanges(t *testing.T) {
	t.Parallel()
	f, url := opened(t)
	f.show(shows("set-up"))
	f.begin()
	var all sync.WaitGroup
	changed := make(chan struct{})
	begun := make(chan struct{}, 8)
	for n := range 8 {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: n%2 == 0}}
			for i := 0; ; i++ {
				last := false
				select {
				case <-changed:
					last = true
				default:
				}
				answer, _, err := ask(client, url)
				if err != nil || answer != "set-up" && answer != "serving" || last && answer != "serving" {
					t.Errorf("%q %v", answer, err)
				}
				if i == 0 {
					begun <- struct{}{}
				}
				if last {
					return
				}
			}
		})
	}
	for range 8 {
		<-begun
	}
	f.show(shows("serving"))
	close(changed)
	all.Wait()
}

func TestAFrontThatNeverBeganFreesItsAddress(t *testing.T) {
	t.Parallel()
	f, _ := opened(t)
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	again, err := newFront(context.Background(), f.listener.Addr().String(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("its address is taken: %v", err)
	}
	if err := again.close(); err != nil {
		t.Error(err)
	}
}
