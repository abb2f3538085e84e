package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

// logsCommand prints what steps have printed.
type logsCommand struct {
	Follow  bool   `short:"f" help:"Go on until the run is over."`
	Plain   bool   `help:"Leave out colours and other escapes; that is also done where the output is no terminal."`
	DataDir string `help:"The server's folder, for a run that is named by run/REPOSITORY/DELIVERY." default:"/var/lib/conveyor" env:"CONVEYOR_DATA_DIR"`
	RunName string `arg:"" name:"run" help:"The address of a run's page, or its name: run/REPOSITORY/DELIVERY."`
	Step    string `arg:"" optional:"" help:"The step; all of them when left out. STEP/2 is its second attempt, else it is the last one."`
}

// attempt is a log that a run has.
type attempt struct {
	Step    string `json:"step"`
	Attempt int    `json:"attempt"`
	Over    bool   `json:"over"`
}

func (a attempt) String() string { return fmt.Sprintf("%s/%d", a.Step, a.Attempt) }

// logSource is where logs are read from: a server, or its folder.
type logSource interface {
	// attempts lists what there is by now, the last attempt of a step last; over says that there will be no more.
	attempts(ctx context.Context) (all []attempt, over bool, err error)
	// copy writes a log, and with follow what is still to come.
	copy(ctx context.Context, out io.Writer, a attempt, follow bool) error
}

// Run prints one log, or all of a run with a line before each.
func (l *logsCommand) Run(ctx context.Context) error {
	var from logSource
	if strings.HasPrefix(l.RunName, "http://") || strings.HasPrefix(l.RunName, "https://") {
		from = &servedLogs{run: strings.TrimSuffix(l.RunName, "/")}
	} else {
		store, err := openStored(l.DataDir, l.RunName)
		if err != nil {
			return err
		}
		defer func() { _ = store.logs.Close() }() // it was only read
		from = store
	}
	var out io.Writer = os.Stdout
	if info, err := os.Stdout.Stat(); l.Plain || err == nil && info.Mode()&os.ModeCharDevice == 0 {
		r, w := io.Pipe()
		done := make(chan error, 1)
		go func() {
			_, err := io.Copy(os.Stdout, logs.PlainReader(r))
			done <- errors.Join(err, r.CloseWithError(err))
		}()
		err := l.print(ctx, from, w)
		return errors.Join(err, w.Close(), <-done)
	}
	return l.print(ctx, from, out)
}

func (l *logsCommand) print(ctx context.Context, from logSource, out io.Writer) error {
	printed := map[string]bool{}
	for {
		all, over, err := from.attempts(ctx)
		if err != nil {
			return err
		}
		chosen := choose(all, l.Step)
		if len(chosen) == 0 && (over || !l.Follow) {
			return notThere(l.Step, all)
		}
		news := false
		for _, a := range chosen {
			if printed[a.String()] {
				continue
			}
			printed[a.String()], news = true, true
			if l.Step == "" {
				if _, err := fmt.Fprintf(out, "==> %s <==\n", a); err != nil {
					return err
				}
			}
			if err := from.copy(ctx, out, a, l.Follow); err != nil {
				return err
			}
		}
		switch {
		case !l.Follow || over && !news:
			return nil
		case l.Step != "" && len(chosen) > 0 && !news:
			return nil // the step was done, and no attempt came after it
		case !news:
			if err := pause(ctx); err != nil {
				return err
			}
		}
	}
}

// choose are the logs that are meant: without a step, the last attempt of each.
func choose(all []attempt, step string) (chosen []attempt) {
	name, number, exact := strings.Cut(step, "/")
	last := map[string]int{}
	for _, a := range all {
		last[a.Step] = max(last[a.Step], a.Attempt)
	}
	for _, a := range all {
		switch {
		case step != "" && a.Step != name:
		case exact && strconv.Itoa(a.Attempt) != number:
		case !exact && a.Attempt != last[a.Step]:
		default:
			chosen = append(chosen, a)
		}
	}
	return chosen
}

func notThere(step string, all []attempt) error {
	if len(all) == 0 {
		return errors.New("the run has printed nothing yet; with -f, what comes is waited for")
	}
	names := make([]string, len(all))
	for i, a := range all {
		names[i] = a.String()
	}
	return fmt.Errorf("there is no log of %q; there are: %s", step, strings.Join(names, ", "))
}

// storedLogs are read from the server's folder.
type storedLogs struct {
	logs *logs.Store
	run  string
}

func openStored(dir, run string) (*storedLogs, error) {
	at := filepath.Join(dir, "logs")
	if info, err := os.Stat(at); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("there are no logs in %s; name the server's folder with --data-dir, or give the address of the run's page", at)
	}
	store, err := logs.Open(at)
	if err != nil {
		return nil, err
	}
	return &storedLogs{store, run}, nil
}

func (s *storedLogs) attempts(context.Context) (all []attempt, over bool, err error) {
	names, err := s.logs.Names(s.run)
	if errors.Is(err, logs.ErrNotFound) {
		return nil, false, fmt.Errorf("there is no log of a run called %q here; a name is like run/7/DELIVERY", s.run)
	}
	if err != nil {
		return nil, false, err
	}
	over = true
	for _, name := range names {
		parts := strings.Split(strings.TrimPrefix(name, s.run+"/"), "/")
		if len(parts) != 2 {
			continue
		}
		n, err := strconv.Atoi(parts[1])
		if err != nil {
			continue
		}
		_, err = s.logs.End(name)
		all = append(all, attempt{parts[0], n, err == nil})
		over = over && err == nil
	}
	return all, over, nil // the folder says what was begun, and not what is still to begin
}

func (s *storedLogs) copy(ctx context.Context, out io.Writer, a attempt, follow bool) error {
	name := s.run + "/" + a.String()
	if follow {
		for block, err := range s.logs.Follow(ctx, name, 0) {
			if err != nil {
				return err
			}
			if _, err := out.Write(block.Data); err != nil {
				return err
			}
		}
		return nil
	}
	r, err := s.logs.Reader(name)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // it was only read
	_, err = io.Copy(out, io.NewSectionReader(r, 0, r.Size()))
	return err
}
