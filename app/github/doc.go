// Package github is all that Conveyor says to GitHub: it proves which App it is, and then creates and updates check
// runs, deployments and comments, and asks who may do what.
//
// It never hears anything (webhooks are handlers/webhook), never decides anything, and never sleeps: when GitHub asks to
// wait, the caller gets a *Limited with the time, and asks again after it. No other package may import go-github or
// ghinstallation for calls.
//
// GitHub knows no idempotency keys. Every write here therefore plants a name of our own (an external id, a payload, a
// hidden marker), and every Upsert can be repeated: when an earlier try may have been done without our hearing of it, the
// caller sets Unknown, and what is already there is adopted instead of made twice.
//
// Start reading at App and Installation, then guard, which every single request passes through.
package github
