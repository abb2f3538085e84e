package github

import (
	"context"
	"errors"

	gh "github.com/google/go-github/v60/github"
)

// Self is who we are at GitHub. Comments, deployments and events of UserID are our own.
type Self struct {
	AppID  int64
	Slug   string
	Login  string // "slug[bot]"
	UserID int64
}

// Self asks once who we are; it does not change afterwards. It may be repeated.
func (in *Installation) Self(ctx context.Context) (Self, error) {
	if known := in.app.self.Load(); known != nil {
		return *known, nil
	}
	ctx = withRoute(ctx, "self")
	app, _, err := in.asApp.Apps.Get(ctx, "")
	if err == nil && (app.GetID() != in.app.id || !slugForm.MatchString(app.GetSlug())) {
		err = errors.New("GitHub's answer is about another App")
	}
	if err != nil {
		return Self{}, said(ctx, err, false, "ask who we are, App", in.app.id)
	}
	// A bot's number is not the App's, and only an installation may ask for it.
	login := app.GetSlug() + "[bot]"
	var bot *gh.User
	bot, _, err = in.client.Users.Get(ctx, login)
	if err == nil && (bot.GetID() == 0 || bot.GetType() != "Bot") {
		err = errors.New("GitHub's answer is about a person")
	}
	if err != nil {
		return Self{}, said(ctx, err, false, "ask who we are,", login)
	}
	self := &Self{AppID: in.app.id, Slug: app.GetSlug(), Login: bot.GetLogin(), UserID: bot.GetID()}
	in.app.self.Store(self)
	return *self, nil
}
