package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	gh "github.com/google/go-github/v60/github"
)

// Limited says that this call is not made before Until: GitHub asks to wait, or would, or something more urgent goes
// first. What was asked has not been done.
type Limited struct {
	Until time.Time
	Why   string // empty when GitHub asked
}

func (l *Limited) Error() string {
	until := l.Until.UTC().Format(time.RFC3339)
	if l.Why != "" {
		return "GitHub is not asked until " + until + ": " + l.Why
	}
	return "GitHub asks to wait until " + until
}

// Is makes one for a suspended installation an ErrSuspended, so that it is known whether GitHub was asked or not.
func (l *Limited) Is(target error) bool {
	return target == ErrSuspended && l.Why == ErrSuspended.Error()
}

// RetryAt is when to ask again.
func (l *Limited) RetryAt() time.Time { return l.Until }

// Unavailable says that GitHub could not be reached, did not answer in time, or answered with an error of its own.
// Asking again later is right.
type Unavailable struct {
	Status  int   // GitHub's answer, 0 when there was none
	Unknown bool  // it was a write, and it may have been done all the same: repeat it with Unknown set
	Err     error // what happened, when there was no answer; may be the context's error
}

func (u *Unavailable) Error() string {
	switch {
	case u.Err != nil && u.Unknown:
		return "no answer from GitHub, it may have been done: " + tidy(u.Err.Error())
	case u.Err != nil:
		return "no usable answer from GitHub: " + tidy(u.Err.Error())
	}
	return fmt.Sprintf("GitHub is in trouble (%d %s)", u.Status, http.StatusText(u.Status))
}

func (u *Unavailable) Unwrap() error { return u.Err }

// ErrGone says that what was asked for is not, or no longer, there for this App: it was uninstalled or suspended, or the
// repository was deleted or taken from it. The words around it say which. Asking again is useless until a webhook tells
// otherwise.
var ErrGone = errors.New("not there for this App any more")

// ErrSuspended is the ErrGone that can end by itself: the account has suspended the App, and may let it go on.
var ErrSuspended = errors.New("the installation is suspended")

// Refused says that GitHub understood and said no. Asking the same again is useless.
type Refused struct {
	Status  int
	Message string // GitHub's words and what to do about them, for people; one line
}

func (r *Refused) Error() string { return fmt.Sprintf("GitHub refuses (%d): %s", r.Status, r.Message) }

// judge turns what go-github gives back into one of the four errors above. write says that the call changes something.
func judge(ctx context.Context, err error, write bool) error {
	var (
		limited     *Limited
		unavailable *Unavailable
		refused     *Refused
		answer      *gh.ErrorResponse
		accepted    *gh.AcceptedError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limited):
		return limited
	case errors.As(err, &unavailable):
		return unavailable
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, ErrGone):
		return gone(err)
	case errors.As(err, &answer):
		return judgeAnswer(answer)
	case errors.As(err, &accepted):
		return &Refused{Status: http.StatusAccepted, Message: "GitHub put the work off: " + tidy(messageOf(accepted.Raw))}
	case ctx.Err() != nil:
		return &Unavailable{Unknown: write, Err: ctx.Err()}
	}
	var within *url.Error
	if errors.As(err, &within) {
		err = within.Err // without the address, which may hold a one-time code
	}
	return &Unavailable{Unknown: write, Err: err}
}

// goneError carries its reason through the layers of net/http, which wrap errors in their own words.
type goneError struct{ reason string }

func (g *goneError) Error() string { return ErrGone.Error() + ": " + g.reason }

// Is makes it an ErrGone, and the suspended one an ErrSuspended, too.
func (g *goneError) Is(target error) bool {
	return target == ErrGone || target == ErrSuspended && g == errSuspended
}

var errSuspended = &goneError{reason: ErrSuspended.Error()}

func gone(err error) error {
	var g *goneError
	if errors.As(err, &g) {
		return g
	}
	return ErrGone
}

func judgeAnswer(answer *gh.ErrorResponse) error {
	status, message := answer.Response.StatusCode, tidy(answer.Message)
	for _, e := range answer.Errors {
		message = tidy(fmt.Sprintf("%s (%s %s %s %s)", message, e.Resource, e.Field, e.Code, e.Message))
	}
	switch status {
	case http.StatusNotFound, http.StatusGone, http.StatusUnavailableForLegalReasons:
		return &goneError{reason: fmt.Sprintf("GitHub says %d %s", status, message)}
	case http.StatusUnauthorized:
		message += "; check the App's id, its key and this machine's clock"
	case http.StatusForbidden:
		message += "; if the App's permissions were raised, the account's owner must accept them on the installation's page"
	}
	return &Refused{Status: status, Message: message}
}

// notFound reports whether err says that the thing itself is not there, which some callers expect.
func notFound(err error) bool {
	var answer *gh.ErrorResponse
	return errors.As(err, &answer) && answer.Response.StatusCode == http.StatusNotFound
}

func messageOf(body []byte) string {
	var m struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(body, &m) // no JSON, no message
	return m.Message
}
