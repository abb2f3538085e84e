package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/planfile"
	"github.com/conveyor-ci/conveyor/pipeline/source"
)

type replay struct {
	What    string `arg:"" name:"delivery|file" help:"A delivery's GUID, to be found in the data folder's journal; or a file with a payload, or with a delivery as GitHub's API shows it."`
	Event   string `help:"The payload's event, like push. Left out, it is told by the file's folder or by the payload's form."`
	GUID    string `help:"The delivery's GUID, for a payload in a file." name:"guid" default:"00000000-0000-4000-8000-000000000000"`
	DataDir string `help:"The server's data folder, for a GUID and for --history. It is never written to." default:"/var/lib/conveyor"`
	History bool   `help:"Begin with what the server's journal holds of the repository, up to when the delivery came, instead of with nothing."`

	RedisURLFile string `help:"File with the address of the Redis that keeps the server's journal, instead of the data folder. Or set CONVEYOR_REDIS_URL. It is only read." name:"redis-url-file" env:"CONVEYOR_REDIS_URL_FILE"`

	Role    string `help:"The role of whoever sent it." enum:"none,read,triage,write,maintain,admin" default:"write"`
	Plan    string `help:"The pipeline file of the commit; a small one is made up when left out." placeholder:"FILE"`
	JSON    bool   `help:"Print JSON, with whole bodies." name:"json"`
	Verbose bool   `help:"Show the server's log."`
}

// replayTime is how long a replay may take.
const replayTime = 2 * time.Minute

// result is what a replay has found.
type result struct {
	Event    string       `json:"event"`
	GUID     string       `json:"guid"`
	Decision app.Decision `json:"decision"`
	Steps    []string     `json:"steps,omitempty"` // that the run would begin with
	Calls    []call       `json:"calls"`
	Notes    []string     `json:"notes,omitempty"` // what had to be made up
}

// Run plays one delivery to the assembled product, against a local GitHub that is made to fit it. Nothing is run, nobody is
// told, and nothing is kept.
func (r *replay) Run(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, replayTime, fmt.Errorf("the replay did not come to rest within %s; --verbose shows why", replayTime))
	defer cancel()
	dir, err := os.MkdirTemp("", "conveyor-replay-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	hook, past, err := r.read(ctx, dir)
	if err != nil {
		return err
	}
	found, err := r.play(ctx, hook, past, dir)
	if err != nil {
		return err
	}
	if r.JSON {
		e := json.NewEncoder(os.Stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(found)
	}
	found.print(os.Stdout)
	return nil
}

// read finds the delivery: in a file when there is one of that name, in the journal otherwise. With it comes what the
// journal holds of its repository, when that is asked for.
func (r *replay) read(ctx context.Context, dir string) (hook app.Webhook, past []app.Stream, err error) {
	data, err := os.ReadFile(r.What)
	fromJournal := errors.Is(err, fs.ErrNotExist)
	switch {
	case err == nil:
		if hook, err = fromFile(r.What, data, r.Event, r.GUID); err != nil || !r.History {
			return hook, nil, err
		}
	case !fromJournal:
		return hook, nil, fmt.Errorf("the payload cannot be read: %w", err)
	case strings.ContainsAny(r.What, "/.") || len(r.What) < 8:
		return hook, nil, fmt.Errorf("there is no file %s; give a file with a payload, or a delivery's GUID", r.What)
	}
	address, err := fromEither("CONVEYOR_REDIS_URL", r.RedisURLFile, os.Getenv)
	if err != nil {
		return hook, nil, err
	}
	kept, err := app.OpenKept(ctx, r.DataDir, github.NewSecret(strings.TrimSpace(address)), dir)
	if err != nil {
		return hook, nil, err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	if fromJournal {
		if hook, err = kept.Webhook(ctx, r.What); err != nil || !r.History {
			return hook, nil, err
		}
	}
	p, err := decode(hook.Body)
	if err != nil {
		return hook, nil, fmt.Errorf("the payload cannot be replayed: %w", err)
	}
	past, err = kept.History(ctx, number(p, "repository", "id"), hook.At)
	if err == nil && len(past) == 0 {
		err = fmt.Errorf("the journal holds nothing of the repository %s before this delivery; leave --history out to begin with nothing", text(p, "repository", "full_name"))
	}
	return hook, past, err
}

func (r *replay) play(ctx context.Context, hook app.Webhook, past []app.Stream, dir string) (found result, err error) {
	plan := []byte(smallPlan)
	if r.Plan != "" {
		if plan, err = os.ReadFile(r.Plan); err != nil {
			return found, fmt.Errorf("the pipeline file cannot be read: %w", err)
		}
	}
	files := map[string]string{planPath: string(plan), "README.md": "replayed\n"}
	if err := besidePlan(r.Plan, plan, files); err != nil {
		return found, err
	}
	world, err := seed(hook, past, r.Role, files, dir)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, world.github.Close()) }()
	log := slog.DiscardHandler
	if r.Verbose {
		log = slog.NewTextHandler(os.Stderr, nil)
	}
	a, err := app.New(ctx, app.Config{
		Listen: "127.0.0.1:0", PublicURL: "https://conveyor.example", DataDir: dir + "/data", Rehearsal: true, RehearsedAt: hook.At, Sandbox: "none", Workers: 1,
		GitHubURL: world.github.URL(), GitHubAPIURL: strings.TrimSuffix(world.github.APIURL(), "/"), AppID: world.app.ID,
		PrivateKey: github.NewSecret(world.app.PEM), WebhookSecrets: []github.Secret{github.NewSecret(world.app.WebhookSecret)},
	}, slog.New(log))
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if err := a.Restore(ctx, world.moved(past)); err != nil {
		return found, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	if err := a.Settle(ctx); err != nil {
		return found, err
	}
	world.begin()
	if err := world.post(ctx, "http://"+a.Addr()+"/webhooks/github", hook); err != nil {
		return found, err
	}
	decision, err := a.Rehearse(ctx, hook.GUID)
	if err != nil {
		return found, err
	}
	decision.Why = world.original(decision.Why)
	found = result{Event: hook.Event, GUID: hook.GUID, Decision: decision, Calls: world.heard(), Notes: world.notes}
	if decision.What == "run" {
		found.Steps = firstSteps(files, decision.Why, hook.GUID)
	}
	return found, nil
}

// post sends the delivery as GitHub does.
func (w *world) post(ctx context.Context, url string, hook app.Webhook) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(w.payload))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": hook.Event, "X-GitHub-Delivery": hook.GUID, "X-GitHub-Hook-ID": "1",
		"X-GitHub-Hook-Installation-Target-ID": fmt.Sprint(w.app.ID), "X-GitHub-Hook-Installation-Target-Type": "integration",
		"X-Hub-Signature-256": w.signature(),
	} {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	said, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err == nil && res.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("the server would refuse it with %s: %s", res.Status, said)
	}
	return err
}

func (f result) print(w io.Writer) {
	fmt.Fprintf(w, "delivery  %s %s\ndecision  %s: %s\n", f.Event, f.GUID, f.Decision.What, f.Decision.Why)
	for _, n := range f.Notes {
		fmt.Fprintf(w, "note      %s\n", n)
	}
	for _, s := range f.Steps {
		fmt.Fprintf(w, "then      %s\n", s)
	}
	fmt.Fprintf(w, "calls     %d\n", len(f.Calls))
	for i, c := range f.Calls {
		fmt.Fprintf(w, "%4d  %-6s %s  %d\n", i+1, c.Method, c.Path, c.Status)
		if body := shorten(string(c.Body), 160); body != "" {
			fmt.Fprintf(w, "      %s\n", body)
		}
	}
}

// shorten cuts a text to so many characters.
func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// smallPlan is what a commit holds when nobody says otherwise.
const smallPlan = `version: 1
on: {push: {}, pull_request: {}}
stages:
  - name: test
    steps:
      - {name: unit, run: "true"}
`

// besidePlan adds the other pipelines of the repository in which a plan lies, and the buildspecs that these and the plan name.
// What is not there is told by the run itself.
func besidePlan(file string, plan []byte, files map[string]string) error {
	top, one, inRepository := ofRepository(file)
	if !inRepository || one != "" {
		return nil
	}
	from := inFolder(top)
	names, err := from.Folder()
	if err != nil {
		return fmt.Errorf("the pipeline files cannot be read: %w", err)
	}
	add := func(path string) error {
		data, err := from.File(path, 1<<20)
		if err != nil && !errors.Is(err, source.ErrNoFile) && !errors.Is(err, source.ErrTooLarge) {
			return fmt.Errorf("%s cannot be read: %w", path, err)
		}
		if err == nil {
			files[path] = string(data)
		}
		return nil
	}
	for _, name := range names {
		if err := add(pipeline.PlanFolder + "/" + name); err != nil {
			return err
		}
	}
	all := map[string]string{planPath: string(plan)}
	maps.Copy(all, files)
	for path, text := range all {
		parsed, _ := planfile.Parse(path, []byte(text))
		for _, stage := range parsed.Stages {
			for _, step := range stage.Steps {
				if step.Buildspec == "" {
					continue
				}
				if err := add(step.Buildspec); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

const planPath = pipeline.PlanPath
