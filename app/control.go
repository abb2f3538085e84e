package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// The control socket is how commands on the same machine ask the running server for something. It lies in the data folder,
// and only its owner may use it: who can, could change the journal itself.
const controlSocket = "control.sock"

// Ask is a person's wish to start a pipeline, from the command line.
type Ask struct {
	Repository string            `json:"repository"` // OWNER/NAME
	Pipeline   string            `json:"pipeline"`   // as people call it
	Branch     string            `json:"branch"`     // empty for the default branch
	Inputs     map[string]string `json:"inputs,omitempty"`
	By         string            `json:"by"` // who asks, by the machine's name for them
}

// Answer is what became of it.
type Answer struct {
	Run     pipeline.RunID  `json:"run,omitempty"`
	URL     string          `json:"url,omitempty"`
	Commit  pipeline.Commit `json:"commit,omitempty"`
	Refused string          `json:"refused,omitempty"`
}

// socketPath names the socket in a form that is short enough for the kernel, however long the folder's name is. The folder
// stays open as long as the path is used.
func socketPath(dir string) (path string, done func() error, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", f.Fd(), controlSocket), f.Close, nil
}

// openControl listens on the socket. What an earlier server left there is removed: this one is alone on its folder.
func (a *App) openControl(context.Context) error {
	if a.config.Rehearsal {
		return nil
	}
	name := filepath.Join(a.config.DataDir, controlSocket)
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("app: the control socket of an earlier server cannot be removed: %w", err)
	}
	path, done, err := socketPath(a.config.DataDir)
	if err != nil {
		return fmt.Errorf("app: the control socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err == nil {
		listener.(*net.UnixListener).SetUnlinkOnClose(false) // the path is gone by then
		err = os.Chmod(name, 0o600)
	}
	if err = errors.Join(err, done()); err != nil {
		return fmt.Errorf("app: the control socket cannot be opened: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /start", a.startForOperator)
	a.control = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	a.controlled = listener
	a.closers = append(a.closers, func() error {
		err := errors.Join(a.control.Close(), os.Remove(name))
		_ = listener.Close() // when nobody has served it
		return err
	})
	return nil
}

// hearOperator serves the control socket until ctx ends.
func (a *App) hearOperator(ctx context.Context) {
	if a.control == nil {
		return
	}
	end := context.AfterFunc(ctx, func() { _ = a.control.Close() })
	defer end()
	if err := a.control.Serve(a.controlled); !errors.Is(err, http.ErrServerClosed) {
		a.log.Error("the control socket is not heard any more", "err", err)
	}
}

func (a *App) startForOperator(w http.ResponseWriter, r *http.Request) {
	var ask Ask
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&ask); err != nil {
		http.Error(w, "the request cannot be read", http.StatusBadRequest)
		return
	}
	answer, err := a.startAtHead(r.Context(), ask)
	if err != nil {
		a.log.Warn("a run could not be started from the command line", "repo", ask.Repository, "err", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // who asked may be gone
}

// startAtHead looks at the run that the operator asks for, at the head of a branch as GitHub shows it now, and has it started:
// what is answered well stands in the journal.
func (a *App) startAtHead(ctx context.Context, ask Ask) (Answer, error) {
	ctx = github.As(ctx, github.Reply)
	repo, err := a.findRepository(ctx, ask.Repository)
	if err != nil {
		return Answer{}, err
	}
	branch := ask.Branch
	if branch == "" {
		branch = repo.Branch
	}
	head, err := a.github.Installation(repo.Installation).Branch(ctx, repo, branch)
	if errors.Is(err, github.ErrGone) {
		return Answer{Refused: fmt.Sprintf("%s has no branch %q", repo.Slug(), branch)}, nil
	}
	if err != nil {
		return Answer{}, err
	}
	by := printable(ask.By)
	if by == "" {
		by = "operator"
	}
	delivery := "start-" + strings.ToLower(rand.Text())
	run := pipeline.NewRunID(repo.ID, delivery)
	asked := deploy.Asked{Pipeline: ask.Pipeline, Given: ask.Inputs, Trigger: pipeline.Trigger{
		Kind: pipeline.ByHand, Delivery: delivery, Repo: repo, Commit: head.Commit, Ref: "refs/heads/" + branch, Branch: branch,
		Actor: pipeline.Actor{Login: by}, At: a.now().UTC(),
	}}
	r, why, err := a.readByHand(github.WithRun(ctx, string(run)), run, asked.Trigger, asked.Pipeline, asked.Given)
	if err != nil || why != "" {
		a.release(context.WithoutCancel(ctx), repo, run)
		return Answer{Refused: why}, err
	}
	if _, err := a.post(ctx, repoStream(repo.ID), "asked/"+delivery, asked); err != nil { // from here on it is owed
		return Answer{}, err
	}
	return Answer{Run: r.Run, URL: a.RunURL(r.Run), Commit: head.Commit}, nil
}

// AskServer asks the server that runs on a data folder.
func AskServer(ctx context.Context, dir string, ask Ask) (answer Answer, err error) {
	path, done, err := socketPath(dir)
	if err != nil {
		return answer, fmt.Errorf("the server's folder cannot be opened: %w; name it with --data-dir", err)
	}
	defer func() { err = errors.Join(err, done()) }()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	defer client.CloseIdleConnections()
	body, err := json.Marshal(ask)
	if err != nil {
		return answer, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://conveyor/start", strings.NewReader(string(body)))
	if err != nil {
		return answer, err
	}
	res, err := client.Do(req)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return answer, fmt.Errorf("the server on %s belongs to another user; run this as that one", dir)
	case err != nil && errors.As(err, new(*net.OpError)):
		return answer, fmt.Errorf("no server runs on %s; start one, or name its folder with --data-dir", dir)
	case err != nil:
		return answer, err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	if res.StatusCode != http.StatusOK {
		text := make([]byte, 2000)
		n, _ := res.Body.Read(text)
		return answer, fmt.Errorf("the server could not do it: %s", strings.TrimSpace(string(text[:n])))
	}
	return answer, json.NewDecoder(res.Body).Decode(&answer)
}

// printable is the machine's name for someone, on one line, and short.
func printable(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
	if r := []rune(name); len(r) > 60 {
		name = string(r[:60])
	}
	return strings.TrimSpace(name)
}
