package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/handlers/setup"
)

// The doctor looks at what must be well, and changes nothing. The same list is printed by `conveyor doctor` and shown by
// the set-up page; `/doctor` in a pull request shows the part that is about one repository (do_doctor.go).

// Level is how a finding stands.
type Level string

// Levels. Only a failure makes `conveyor doctor` fail: a warning works for now, and what is unknown may be well.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Failed  Level = "failed"
	Unknown Level = "unknown"
)

// Finding is one thing that was looked at. Says and Fix are sentences; `code` stands in backticks.
type Finding struct {
	Name  string `json:"name"`
	Level Level  `json:"level"`
	Says  string `json:"says"`
	Fix   string `json:"fix,omitempty"`
	Link  string `json:"link,omitempty"`
}

// patient is how long the command waits for GitHub: for a key to be known, for a delivery to come again.
const patient = 15 * time.Second

// doctor is one look, or on the set-up page one after the other.
type doctor struct {
	config   Config
	github   *github.App
	now      func() time.Time
	patience time.Duration // 0 looks once: the page comes again by itself
	probe    *probe        // the delivery that GitHub was asked to send again
	most     int           // repositories that are looked into
	beyond   string        // what to do about the others
	progress func(looked, of int)
}

// Diagnose looks at a server from outside of it, as `conveyor doctor` does: whether it runs or not. Problems with the
// settings are findings, too. progress is told how many repositories were looked into, and how many will be.
func Diagnose(ctx context.Context, c Config, log *slog.Logger, progress func(looked, of int)) []Finding {
	all := settingsFinding(c)
	all = append(all, folderFinding(c), ledgerKeyFinding(c), sandboxFinding(ctx, c))
	all = append(all, journalFinding(ctx, c)...)
	all = append(all, secretsFinding(c)...)
	if all[0].Level == Failed {
		return append(all, Finding{Name: "GitHub", Level: Unknown, Says: "It is not asked while the settings are wrong."})
	}
	app, err := github.New(github.Config{APIURL: c.GitHubAPIURL, WebURL: c.GitHubURL, AppID: c.AppID, PrivateKey: []byte(c.PrivateKey.Reveal()), Log: log})
	if err != nil {
		return append(all, Finding{Name: "App", Level: Failed, Says: upper(err), Fix: "Make a new key on the App's page at GitHub."})
	}
	all = append(all, serverFinding(ctx, c))
	d := doctor{config: c, github: app, now: time.Now, patience: patient, probe: &probe{}, most: MostLooked, progress: progress,
		beyond: "`/doctor` in a pull request looks into its own repository."}
	return append(all, d.examine(ctx)...)
}

// prove is the list on the set-up page of a server that runs: what keeps it from being of use.
func (a *App) prove(ctx context.Context) setup.Proof {
	all := []Finding{folderFinding(a.config), shutInFinding(a.sandbox.Isolation())}
	all = append(all, durable(a.durable.ask(ctx, a.journal.Ready)))
	d := doctor{config: a.config, github: a.github, now: a.clock, probe: &a.probe, most: pageLooked, progress: func(int, int) {},
		beyond: fmt.Sprintf("`conveyor doctor` looks into the first %d, and `/doctor` in a pull request into its own.", MostLooked)}
	var shown setup.Proof
	for _, f := range append(all, d.examine(ctx)...) {
		shown.Installed = shown.Installed || strings.HasPrefix(f.Name, installationIn)
		shown.Findings = append(shown.Findings, setup.Finding{Name: f.Name, Level: string(f.Level), Says: f.Says, Fix: f.Fix, Link: f.Link})
	}
	return shown
}

// examine is the part that GitHub knows.
func (d *doctor) examine(ctx context.Context) (all []Finding) {
	registered, clock, err := d.registered(ctx)
	if clock == nil {
		return append(all, Finding{
			Name: "GitHub", Level: Failed, Says: "GitHub's API at " + d.config.GitHubAPIURL + " gives no answer: " + lower(err),
			Fix: "Let this machine reach that address over HTTPS, and compare it with `CONVEYOR_GITHUB_API_URL`; an Enterprise Server's is `https://HOST/api/v3`.",
		})
	}
	all = append(all, Finding{Name: "GitHub", Level: OK, Says: "Its API at " + d.config.GitHubAPIURL + " answers."}, clockFinding(*clock))
	if err != nil {
		return append(all, d.keyFinding(err))
	}
	all = append(all, Finding{Name: "App", Level: OK, Says: fmt.Sprintf("GitHub knows App %d as `%s`, and takes its key.", registered.ID, registered.Slug), Link: registered.HTMLURL})
	all = append(all, d.rights(registered)...)
	all = append(all, d.hook(ctx, registered)...)
	return append(all, d.installations(ctx, registered)...)
}

// registered asks who we are; a key that is new is asked for again, for a while.
func (d *doctor) registered(ctx context.Context) (r github.Registration, clock *github.Clock, err error) {
	again(ctx, d.patience, func() bool {
		r, clock, err = d.github.Registered(ctx)
		return !errors.Is(err, github.ErrNewKey)
	})
	return r, clock, err
}

// again asks until the answer is yes, at most for the patience.
func again(ctx context.Context, patience time.Duration, done func() bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Clocks that differ by less than the first make no trouble; from the second on, GitHub may refuse our key.
const (
	clockOff   = 5 * time.Second
	clockWrong = 30 * time.Second
)

func clockFinding(c github.Clock) Finding {
	f := Finding{Name: "Clock", Level: OK, Says: "It agrees with GitHub's."}
	ahead := c.Ahead()
	words := fmt.Sprintf("This machine's clock is %d s ahead of GitHub's.", int(ahead.Seconds()))
	if ahead < 0 {
		words = fmt.Sprintf("This machine's clock is %d s behind GitHub's.", int(-ahead.Seconds()))
	}
	switch off := ahead.Abs(); {
	case off >= clockWrong:
		f.Level, f.Says = Failed, words+" GitHub refuses keys of a clock that is a minute ahead, and limits are counted wrongly."
	case off >= clockOff:
		f.Level, f.Says = Warning, words
	default:
		return f
	}
	f.Fix = "Set it by NTP, for example with `timedatectl set-ntp true`."
	return f
}

func (d *doctor) keyFinding(err error) Finding {
	var refused *github.Refused
	switch {
	case errors.Is(err, github.ErrNewKey):
		return Finding{Name: "App", Level: Warning, Says: "GitHub does not know the App's new key yet. That passes within a minute.", Fix: "Wait, and look again. When it stays so, make a new key on the App's page at GitHub."}
	case errors.As(err, &refused), errors.Is(err, github.ErrGone):
		return Finding{
			Name: "App", Level: Failed, Says: fmt.Sprintf("GitHub does not take the key of App %d: %s", d.config.AppID, lower(err)),
			Fix: "Put the clock right when it is wrong. Else compare `CONVEYOR_APP_ID` with the App's page at GitHub, and make a new key there when it was deleted.",
		}
	}
	return Finding{Name: "App", Level: Unknown, Says: "Whether GitHub takes the App's key is not known: " + lower(err), Fix: "Look again in a moment."}
}

// settingsFinding is the first of the list. What is wrong is one finding each.
func settingsFinding(c Config) (all []Finding) {
	if c.Unregistered() {
		return []Finding{{
			Name: "Settings", Level: Failed, Says: "There is no App yet.",
			Fix: "Start `conveyor serve` with the same settings, and open the link that it prints.",
		}}
	}
	for _, problem := range c.Check() {
		says, fix, _ := strings.Cut(problem, "; ")
		all = append(all, Finding{Name: "Settings", Level: Failed, Says: strings.TrimSuffix(says, ".") + ".", Fix: upperWord(fix)})
	}
	if all == nil {
		all = append(all, Finding{Name: "Settings", Level: OK, Says: "Each can be used."})
	}
	return all
}

// folderFinding looks at who may read the data folder, and what the set-up has kept in it.
func folderFinding(c Config) Finding {
	f := Finding{Name: "Data folder", Level: OK, Says: "`" + c.DataDir + "` is readable by its owner only."}
	at, err := os.Stat(c.DataDir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		f.Level, f.Says, f.Fix = Failed, "`"+c.DataDir+"` is not there.", "The server makes it when it starts. When it has run here before, look for the disk that is not mounted."
		return f
	case err != nil:
		f.Level, f.Says, f.Fix = Failed, "`"+c.DataDir+"` cannot be read: "+lower(err), "Run this as the user who runs the server."
		return f
	case at.Mode().Perm()&0o077 != 0:
		f.Level, f.Says, f.Fix = Failed, fmt.Sprintf("`%s` is open to others (%#o): they can read logs and keys, or forge approvals.", c.DataDir, at.Mode().Perm()), "`chmod 700 "+c.DataDir+"`"
		return f
	}
	k := c.keep()
	for _, path := range []string{k.key, k.secret} {
		if at, err := os.Stat(path); err == nil && at.Mode().Perm()&0o077 != 0 {
			f.Level, f.Says, f.Fix = Failed, fmt.Sprintf("`%s` is open to others (%#o).", path, at.Mode().Perm()), "`chmod 600 "+path+"`, and make a new one at GitHub: it may have been read."
			return f
		}
	}
	try, err := os.CreateTemp(c.DataDir, ".doctor-")
	if err == nil {
		err = errors.Join(try.Close(), os.Remove(try.Name()))
	}
	if err != nil {
		f.Level, f.Says, f.Fix = Failed, "Nothing can be written to `"+c.DataDir+"`: "+lower(err), "Run this as the user who runs the server, and look for a full disk."
	}
	return f
}

func upper(err error) string {
	return upperWord(strings.TrimSuffix(strings.TrimPrefix(err.Error(), "github: "), ".") + ".")
}

func upperWord(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// lower is an error in the middle of a sentence, and the sentence's end.
func lower(err error) string {
	if err == nil {
		return "no reason was given."
	}
	words := strings.Join(strings.Fields(err.Error()), " ")
	return strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(words, "github: "), "."), "`", "'") + "."
}

// scratch is a folder for a try; it is removed afterwards.
func scratch(c Config) (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp(c.DataDir, ".doctor-")
	return filepath.Clean(dir), func() { _ = os.RemoveAll(dir) }, err
}
