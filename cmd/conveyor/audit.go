package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/deploy/ledger"
)

// audit reads a ledger without a server, without the net, and without the private key.
type audit struct {
	Verify auditVerify `cmd:"" help:"Prove each line of a ledger, and name the first one that is not as it was written."`
	Show   auditShow   `cmd:"" help:"Prove a ledger, and print its lines for people."`
}

type auditFile struct {
	File string `arg:"" help:"The ledger: audit.jsonl of the server's data folder, or a copy of it."`
	Key  string `help:"File with the public key (audit.pub), best from elsewhere than the ledger. Left out, it is looked for beside the ledger." placeholder:"FILE"`
	Head string `help:"Hash of a line that you noted before: it must still be there." placeholder:"HASH"`
}

type auditVerify struct{ auditFile }

// Run proves a ledger.
func (v *auditVerify) Run() error {
	report, err := v.prove(os.Stderr, nil)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d lines, all as they were written; head %s\n", v.File, report.Lines, report.Head)
	return nil
}

type auditShow struct{ auditFile }

// Run prints a ledger, as far as it can be proven.
func (s *auditShow) Run() error {
	_, err := s.prove(os.Stderr, func(l ledger.Line) { fmt.Println(auditWords(l)) })
	return err
}

func (f *auditFile) prove(say io.Writer, each func(ledger.Line)) (ledger.Report, error) {
	key, err := f.key(say)
	if err != nil {
		return ledger.Report{}, err
	}
	file, err := os.Open(f.File)
	if err != nil {
		return ledger.Report{}, fmt.Errorf("the ledger cannot be read: %w", err)
	}
	defer file.Close()
	report, err := ledger.Verify(file, key, strings.TrimPrefix(f.Head, "sha256:"), each)
	var bad *ledger.Bad
	if errors.As(err, &bad) {
		fmt.Fprintf(say, "%s:%d: %s\n", f.File, bad.Line, bad.Why)
		return report, saidError{}
	}
	return report, err
}

func (f *auditFile) key(say io.Writer) (ed25519.PublicKey, error) {
	name := f.Key
	if name == "" {
		name = filepath.Join(filepath.Dir(f.File), ledger.PublicFile)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("the public key cannot be read; name it with --key: %w", err)
	}
	key, err := ledger.PublicKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if f.Key == "" {
		fmt.Fprintf(say, "The key lies beside the ledger: who could change one could change both. Keep %s elsewhere, and name it with --key.\n", name)
	}
	return key, nil
}

// auditWords is a line for people. What comes from outside cannot move a terminal's cursor.
func auditWords(l ledger.Line) string {
	words := []string{fmt.Sprintf("%6d", l.Sequence), l.At.UTC().Format(time.RFC3339), l.Repository.Slug(), l.Environment, l.What}
	if l.Deployment != "" {
		words = append(words, fmt.Sprintf("%s %s %s", l.Deployment, l.Commit.Short(), l.Digest.Short()))
	}
	for _, a := range l.Approvals {
		words = append(words, fmt.Sprintf("by @%s (%d, %s)", a.Actor.Login, a.Actor.ID, a.Role))
	}
	if l.Actor != nil {
		words = append(words, fmt.Sprintf("%s at %s by %s (%d)", l.Pipeline, l.Commit.Short(), l.Actor.Login, l.Actor.ID))
		for _, name := range slices.Sorted(maps.Keys(l.Inputs)) {
			words = append(words, fmt.Sprintf("%s=%q", name, l.Inputs[name]))
		}
	}
	if l.Command != nil {
		words = append(words, fmt.Sprintf("to @%s (%d)", l.Command.Actor.Login, l.Command.Actor.ID))
	}
	if l.What == deploy.HasFinished {
		words = append(words, map[bool]string{true: "ok", false: "failed"}[l.OK])
	}
	if l.Say != "" {
		words = append(words, l.Say)
	}
	return printable(strings.Join(words, "  "))
}

// printable is text from outside that cannot move a terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\ufffd'
		}
		return r
	}, text)
}
