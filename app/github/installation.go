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
	app     *App
	id      int64
	client  *gh.Client // with the installation's token
	asApp   *gh.Client // as the App itself, for tokens; GitHub counts that apart
	budget  *governor  // of what is asked with the installation's token
	minting *governor  // of what is asked as the App itself

	kept *kept // what commit ids make immutable

	whole *source // the token for everything that the installation may do

	mu     sync.Mutex
	scopes map[int64]*source // tokens of single repositories, by repository id
	left   []ending          // tokens that are owed their end
	roles  map[roleKey]roleKept
}

func newInstallation(a *App, id int64) *Installation {
	in := &Installation{app: a, id: id, kept: newKept(a.now), scopes: map[int64]*source{}, roles: map[roleKey]roleKept{}}
	// One AppsTransport for each installation: two that share one write to it at the same time.
	signed := newAsApp(a)
	own := newGuard(a, id, signed)
	in.asApp, in.minting = newClient(a.api, a.agent, own), own.governor
	whole := newSource(a.now, apiMargin, func(ctx context.Context) (string, time.Time, error) { return in.mint(ctx, nil) })
	in.whole = whole
	guard := newGuard(a, id, &bearer{source: whole, next: a.base})
	in.client, in.budget = newClient(a.api, a.agent, guard), guard.governor
	return in
}

// MayWrite says whether a write of the context's class would be held back right now, and until when. It makes no call and
// promises nothing: it spares those who keep a note of each write that they begin a note for nothing. route is what the
// write is for, as a Call names it.
func (in *Installation) MayWrite(ctx context.Context, route string) error {
	err := in.budget.may(ask{class: classOf(ctx), write: true})
	if err != nil {
		in.app.observe(Call{Installation: in.id, Class: classOf(ctx), Route: route, Outcome: "held"})
	}
	return err
}

// NextNews is when GitHub can be told something of the context's class again, after what is being told now; zero when
// nothing is in the way. It makes no call and promises nothing.
func (in *Installation) NextNews(ctx context.Context) time.Time {
	until, _ := in.budget.next(classOf(ctx))
	return until
}

// Budget is what is left to the installation.
func (in *Installation) Budget() Budget { return in.budget.budget() }

// Resume says that the installation is suspended no more, or may do more than before: nothing is held back for the former,
// and the next call asks for a new token.
func (in *Installation) Resume(ctx context.Context) error {
	in.budget.resume()
	in.minting.resume()
	_, err := in.whole.release(ctx, "")
	return err
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
