package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/handlers"
	"github.com/conveyor-ci/conveyor/handlers/setup"
)

// SetUp serves the set-up page of a server that has no App yet, and gives back the App that runs once it was made: it
// is reached where the page was, by the same connections, and none is refused or cut off in between. announce is told the link that lets one browser
// in. Without an App, and without an error, ctx has ended.
func SetUp(ctx context.Context, c Config, log *slog.Logger, announce func(link string)) (a *App, err error) {
	if problems := c.checkServer(); len(problems) > 0 {
		return nil, &ConfigError{Problems: problems}
	}
	if err := tryOut(ctx, c, log); err != nil {
		return nil, err
	}
	keep := c.keep()
	if err := keep.try(); err != nil {
		return nil, err
	}
	made := make(chan github.Credentials, 1)
	var failed failure
	pages := setup.New(setup.Options{
		PublicURL: c.PublicURL, GitHubURL: c.GitHubURL, Name: proposedName(c.PublicURL), Asks: c.askedFor, Log: log, Problem: keep.halfway(),
		Manifest: func(name string) (string, error) { return manifestFor(c, name) },
		Taken: func(ctx context.Context, slug string) (bool, error) {
			return github.AppExists(ctx, c.GitHubAPIURL, nil, slug)
		},
		Register: func(ctx context.Context, code string) (setup.Made, error) {
			// A browser that goes away must not cost the key.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			return register(ctx, c, keep, code, made)
		},
	})
	link, err := pages.Link()
	if err != nil {
		return nil, err
	}
	serving, err := newFront(ctx, c.Listen, log)
	if err != nil {
		return nil, err
	}
	serving.show(handlers.SettingUp(handlers.Options{Setup: pages, Log: log, Ready: failed.conditions}))
	serving.begin()
	defer func() {
		if a == nil {
			_ = serving.close() // what matters is why
		}
	}()
	announce(link)

	select {
	case err = <-serving.ended:
		return nil, err
	case <-ctx.Done():
		return nil, nil
	case credentials := <-made:
		c.AppID, c.PrivateKey, c.WebhookSecrets = credentials.AppID, credentials.PEM, []github.Secret{credentials.WebhookSecret}
	}
	if a, err = open(ctx, c, log, serving, pages); err != nil {
		log.Error("the App is made, and the server cannot start with it", "err", err)
		failed.set(err)
		pages.Failed(err.Error())
		<-ctx.Done() // the one who reads the page is told what to do
		return nil, err
	}
	pages.Live(a.prove)
	return a, nil
}

// register changes GitHub's code into an App, and keeps it before anyone hears of it.
func register(ctx context.Context, c Config, k keep, code string, made chan<- github.Credentials) (setup.Made, error) {
	credentials, err := github.ConvertManifest(ctx, c.GitHubAPIURL, nil, code)
	if err != nil {
		return setup.Made{}, errors.New(strings.TrimPrefix(err.Error(), "github: "))
	}
	if len(credentials.WebhookSecret.Reveal()) < minSecret {
		return setup.Made{}, errors.New("GitHub made the App, and gave no webhook secret for it; delete the App on GitHub and begin the set-up again")
	}
	if err := k.save(credentials, c.GitHubURL); err != nil {
		return setup.Made{}, err
	}
	url := credentials.HTMLURL
	if base := strings.TrimSuffix(c.GitHubURL, "/") + "/"; !strings.HasPrefix(url, base) {
		url = base + "apps/" + credentials.Slug
	}
	made <- credentials
	return setup.Made{Slug: credentials.Slug, URL: url}, nil
}

// tryOut finds what would stop the server later, before an App is made for it.
func tryOut(ctx context.Context, c Config, log *slog.Logger) error {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("app: CONVEYOR_DATA_DIR cannot be used: %w", err)
	}
	a := &App{config: c, log: slog.New(slog.DiscardHandler), clock: time.Now}
	err := a.openJournal(ctx)
	if err == nil {
		err = a.openSandbox(ctx)
	}
	return errors.Join(err, a.Close())
}

// failure is why a server that is being set up could not go live.
type failure struct {
	mu  sync.Mutex
	err error
}

func (f *failure) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *failure) conditions(context.Context) []handlers.Condition {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return []handlers.Condition{{Name: "start", Err: f.err}}
	}
	return []handlers.Condition{{Name: "app", Err: errors.New("there is no App yet; open the link that the server has printed")}}
}
