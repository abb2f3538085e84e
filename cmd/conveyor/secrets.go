package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/pipeline/secret"
	"github.com/conveyor-ci/conveyor/pipeline/secret/age"
)

// secrets works on the store in the data folder, with or without a server that runs on it.
type secrets struct {
	Set    secretsSet    `cmd:"" help:"Keep a secret. Its value is read from standard input, or asked for; it never stands in the command line."`
	List   secretsList   `cmd:"" help:"List names, scopes and when each was changed. Values are never shown."`
	Remove secretsRemove `cmd:"" help:"Forget a secret."`
	Rotate secretsRotate `cmd:"" help:"Encrypt all secrets with a new key, and forget the old one. What each of them gives access to is listed, for those that must be changed where they are used."`
}

type secretsScope struct {
	settings
	Repository  string `arg:"" help:"OWNER/NAME, which GitHub is asked for; or the repository's number."`
	Name        string `arg:"" help:"The secret's name, as the pipeline file says it."`
	Environment string `help:"Only for deployments to this environment." placeholder:"ENV"`
}

// scope finds out which repository is meant. Names of repositories change hands, so secrets belong to numbers.
func (s *secretsScope) scope(ctx context.Context, c app.Config, known []age.Entry) (scope age.Scope, slug string, err error) {
	scope.Environment = s.Environment
	if n, err := strconv.ParseInt(s.Repository, 10, 64); err == nil && n > 0 {
		scope.Repository = n
		for _, e := range known {
			if e.Repository == n {
				slug = e.Slug
			}
		}
		return scope, slug, nil
	}
	if strings.Count(s.Repository, "/") != 1 {
		return scope, "", fmt.Errorf("%q is no repository; give OWNER/NAME, or its number", s.Repository)
	}
	repo, err := app.FindRepository(ctx, c, s.Repository)
	if err != nil {
		return scope, "", fmt.Errorf("GitHub does not say the number of %s, which can be given instead: %w", s.Repository, err)
	}
	scope.Repository = repo.ID
	return scope, repo.Slug(), nil
}

type secretsSet struct{ secretsScope }

// Run keeps a secret.
func (s *secretsSet) Run(ctx context.Context) error {
	c, store, err := s.open()
	if err != nil {
		return err
	}
	if err := secret.CheckName(s.Name); err != nil {
		return err
	}
	known, err := store.List()
	if err != nil {
		return err
	}
	scope, slug, err := s.scope(ctx, c, known)
	if err != nil {
		return err
	}
	value, err := readSecret(ctx, os.Stdin, os.Stderr, s.Name)
	if err != nil {
		return err
	}
	if err := app.SecretFit(value.Reveal()); err != nil {
		return fmt.Errorf("%s is not kept: the value %w", s.Name, err)
	}
	if err := store.Set(age.Entry{Name: s.Name, Scope: scope, Slug: slug, By: operator()}, value); err != nil {
		return err
	}
	fmt.Printf("%s is kept for %s.\n", s.Name, scopeWords(scope, slug))
	return nil
}

type secretsRemove struct{ secretsScope }

// Run forgets a secret.
func (s *secretsRemove) Run(ctx context.Context) error {
	c, store, err := s.open()
	if err != nil {
		return err
	}
	known, err := store.List()
	if err != nil {
		return err
	}
	scope, slug, err := s.scope(ctx, c, known)
	if err != nil {
		return err
	}
	err = store.Remove(scope, s.Name, operator())
	if errors.Is(err, age.ErrUnknown) {
		return fmt.Errorf("there is no secret %s for %s; `conveyor secrets list` shows what there is", s.Name, scopeWords(scope, slug))
	}
	if err != nil {
		return err
	}
	fmt.Printf("%s is forgotten for %s. Whoever had it still has it: end it where it gives access.\n", s.Name, scopeWords(scope, slug))
	return nil
}

type secretsList struct{ settings }

// Run lists what there is.
func (s *secretsList) Run() error {
	_, store, err := s.open()
	if err != nil {
		return err
	}
	all, err := store.List()
	if err != nil {
		return err
	}
	printSecrets(all)
	return nil
}

type secretsRotate struct{ settings }

// Run gives the store a new key.
func (s *secretsRotate) Run() error {
	_, store, err := s.open()
	if err != nil {
		return err
	}
	n, err := store.Rotate(operator())
	if err != nil {
		return err
	}
	all, err := store.List()
	if err != nil {
		return err
	}
	fmt.Printf("%d secrets are encrypted with a new key; the old one opens none of them any more.\n", n)
	fmt.Println("If the old key or a value may have been seen, change these where they give access, and set them anew:")
	printSecrets(all)
	return nil
}

// open finds the store that the server uses.
func (s *settings) open() (app.Config, *age.Store, error) {
	c, err := s.config(os.Getenv)
	var wrong *app.ConfigError
	if err != nil && !errors.As(err, &wrong) { // what is wrong with the App's key is said when GitHub is asked
		return c, nil, err
	}
	if info, err := os.Stat(c.DataDir); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
			return c, nil, fmt.Errorf("%s belongs to the user %d, and the server could not read what you write there; run this as that user: sudo -u '#%d' conveyor secrets …", c.DataDir, st.Uid, st.Uid)
		}
	}
	return c, app.Secrets(c), nil
}

func printSecrets(all []age.Entry) {
	if len(all) == 0 {
		fmt.Println("There are no secrets. `conveyor secrets set OWNER/NAME SECRET` keeps one.")
		return
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tREPOSITORY\tWHO GETS IT\tCHANGED\tBY")
	for _, e := range all {
		gets := "builds of people who may write"
		if e.Environment != "" {
			gets = "deployments to " + e.Environment
		}
		slug := fmt.Sprint(e.Repository)
		if e.Slug != "" {
			slug = fmt.Sprintf("%s (%d)", e.Slug, e.Repository)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.Name, line(slug), line(gets), e.Changed.UTC().Format(time.RFC3339), line(e.By))
	}
	_ = table.Flush() // what cannot be printed is seen
}

func scopeWords(scope age.Scope, slug string) string {
	if slug == "" {
		slug = fmt.Sprintf("repository %d", scope.Repository)
	}
	if scope.Environment != "" {
		return "deployments of " + slug + " to " + scope.Environment
	}
	return "builds of " + slug
}

// operator is who works on the store, for the list of changes. Behind sudo it is whoever called it.
func operator() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}

// readSecret reads a value to the end of the input; from a terminal, one line that is not shown. The line end after a
// single line belongs to the keyboard, not to the secret; a key of many lines is kept as it is.
func readSecret(ctx context.Context, in *os.File, say io.Writer, name string) (secret.Value, error) {
	show, err := hidden(in)
	if err == nil {
		fmt.Fprintf(say, "The value of %s (it is not shown): ", name)
		defer fmt.Fprintln(say)
		defer show()
		return typed(ctx, in)
	}
	text, err := io.ReadAll(io.LimitReader(in, age.MaxSize+2))
	if err != nil {
		return secret.Value{}, fmt.Errorf("the value cannot be read: %w", err)
	}
	value := string(text)
	if one := strings.TrimSuffix(strings.TrimSuffix(value, "\n"), "\r"); !strings.Contains(one, "\n") {
		value = one
	}
	return secret.New(value), nil
}

// typed is one line. Who gives up gets a terminal back that shows what is typed; the read that still waits ends with the
// process.
func typed(ctx context.Context, in *os.File) (secret.Value, error) {
	type line struct {
		text string
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := bufio.NewReader(in).ReadString('\n')
		read <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		return secret.Value{}, errors.New("nothing was kept")
	case l := <-read:
		if l.err != nil && !errors.Is(l.err, io.EOF) {
			return secret.Value{}, fmt.Errorf("the value cannot be read: %w", l.err)
		}
		return secret.New(strings.TrimRight(l.text, "\r\n")), nil
	}
}

// hidden keeps a terminal from showing what is typed. An error means that it is none.
func hidden(f *os.File) (show func(), err error) {
	old, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return nil, err
	}
	quiet := *old
	quiet.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &quiet); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, old) }, nil
}
