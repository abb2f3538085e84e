package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/conveyor-ci/conveyor/app"
)

// doctor takes the server's settings, so that it looks at the same things.
type doctor struct {
	settings
	JSON bool `help:"Print a list of findings as JSON." name:"json"`
}

// Run prints the findings, whatever they are. Its exit code is 1 when something failed.
func (d *doctor) Run(ctx context.Context) error {
	c, err := d.config(os.Getenv)
	var wrong *app.ConfigError
	if err != nil && !errors.As(err, &wrong) {
		return err
	}
	var all []app.Finding
	if wrong != nil { // a file cannot be read, or what was kept is damaged
		for _, problem := range wrong.Problems {
			all = append(all, app.Finding{Name: "Settings", Level: app.Failed, Says: strings.TrimSuffix(problem, ".") + ".", Fix: "Put the setting right."})
		}
	} else {
		all = app.Diagnose(ctx, c, slog.New(slog.DiscardHandler), (&progress{to: os.Stderr, live: terminal(os.Stderr)}).say)
	}
	if d.JSON {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		out.SetEscapeHTML(false)
		if err := out.Encode(all); err != nil {
			return err
		}
	} else {
		printFindings(all)
	}
	for _, f := range all {
		if f.Level == app.Failed {
			return saidError{}
		}
	}
	return nil
}

func printFindings(all []app.Finding) {
	failed := 0
	words := map[app.Level]string{app.OK: "ok     ", app.Warning: "warning", app.Failed: "FAILED ", app.Unknown: "unknown"}
	for _, f := range all {
		if f.Level == app.Failed {
			failed++
		}
		fmt.Printf("%s  %s: %s\n", words[f.Level], line(f.Name), line(f.Says))
		if f.Fix != "" {
			fmt.Printf("         → %s\n", line(f.Fix))
		}
		if f.Link != "" && f.Level != app.OK {
			fmt.Printf("         → %s\n", line(f.Link))
		}
	}
	fmt.Printf("\n%d of %d failed.\n", failed, len(all))
}

// line keeps words from outside on one line, and from speaking to the terminal.
func line(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

// progress is one line that says how far the doctor is: written over and over on a terminal, once in a while elsewhere.
type progress struct {
	to   io.Writer
	live bool
	said int // what was looked into when it was last said
}

// fewLooked is how many repositories are looked into without a word.
const fewLooked = 10

func (p *progress) say(looked, of int) {
	if of <= fewLooked {
		return
	}
	words := fmt.Sprintf("looked into %d of %d repositories", looked, of)
	switch {
	case p.live && looked < of:
		fmt.Fprintf(p.to, "\r%s", words)
	case p.live:
		fmt.Fprintf(p.to, "\r%*s\r", len(words), "")
	case looked == of || looked-p.said >= 100:
		p.said = looked
		fmt.Fprintln(p.to, words)
	}
}

func terminal(f *os.File) bool {
	at, err := f.Stat()
	return err == nil && at.Mode()&os.ModeCharDevice != 0
}
