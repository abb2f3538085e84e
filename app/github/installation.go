package github

import (
	"context"
	"fmt"
	"sync"
	"time"

	gh "github.com/google/go-github/v60/github"
)

// Installation is the App in one account: a token, a budget and a client of its own, so that one exhausted account stops
// no other. It is safe for use by many goroutines.
//
// Every method can give a *Limited, an *Unavailable, a *Refused or ErrGone, wrapped in words that say what was asked.
type Installation struct {
	app    *App
	id     int64
	client *gh.Client // with the installation's token
	asApp  *gh.Client // as the App itself, for tokens; with limits of its own

	mu     sync.Mutex
	scopes map[int64]*source // tokens of single repositories, by repository id
	roles  map[roleKey]roleKept
}

func newInstallation(a *App, id int64) *Installation {
	in := &Installation{app: a, id: id, scopes: map[int64]*source{}, roles: map[roleKey]roleKept{}}
	// One AppsTransport for each installation: two that share one write to it at the same time.
	signed := newAsApp(a)
	in.asApp = newClient(a.api, a.agent, newGuard(a, id, signed))
	whole := newSource(a.now, apiMargin, func(ctx context.Context) (string, time.Time, error) { return in.mint(ctx, nil) })
	in.client = newClient(a.api, a.agent, newGuard(a, id, &bearer{source: whole, next: a.base}))
	return in
}

// said wraps what came of a call in the words of what was asked.
func said(ctx context.Context, err error, write bool, what string, to any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("github: %s %v: %w", what, to, judge(ctx, err, write))
}

// String names the installation, and shows nothing of its tokens.
func (in *Installation) String() string { return fmt.Sprintf("installation %d of %s", in.id, in.app) }
