package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestASecretIsReadFromItsInputAsItIs(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"token": "token", "token\n": "token", "token\r\n": "token", " token ": " token ", "token\n\n": "token\n\n", "": "",
		"-----BEGIN KEY-----\nabc\n-----END KEY-----\n": "-----BEGIN KEY-----\nabc\n-----END KEY-----\n",
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = io.WriteString(w, given)
			_ = w.Close()
		}()
		var said bytes.Buffer
		got, err := readSecret(t.Context(), r, &said, "TOKEN")
		if err != nil || got.Reveal() != want || said.Len() > 0 {
			t.Errorf("%q became %q, %v, and it said %q", given, got.Reveal(), err, said.String())
		}
		_ = r.Close()
	}
}

func TestATerminalIsAskedAndDoesNotShowWhatIsTyped(t *testing.T) {
	t.Parallel()
	hand, screen := pseudoTerminal(t)
	if _, err := hand.WriteString("first typed early\n"); err != nil { // the terminal shows what is typed before it is asked not to
		t.Fatal(err)
	}
	shown := make([]byte, 256)
	n, err := hand.Read(shown)
	if err != nil || !strings.Contains(string(shown[:n]), "typed early") {
		t.Fatalf("this terminal shows nothing anyway: %q, %v", shown[:n], err)
	}
	show, err := hidden(screen)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hand.WriteString("hunter2\n"); err != nil {
		t.Fatal(err)
	}
	typed := make([]byte, 256)
	for _, want := range []string{"first typed early\n", "hunter2\n"} {
		if n, err = screen.Read(typed); err != nil || string(typed[:n]) != want {
			t.Errorf("%q, %v", typed[:n], err)
		}
	}
	show()
	if _, err := screen.WriteString("end"); err != nil {
		t.Fatal(err)
	}
	var all string
	for !strings.Contains(all, "end") {
		if n, err = hand.Read(shown); err != nil {
			t.Fatal(err)
		}
		all += string(shown[:n])
	}
	if strings.Contains(all, "hunter2") {
		t.Errorf("it was shown: %q", all)
	}

	if _, err := hand.WriteString("of the terminal\n"); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	value, err := readSecret(t.Context(), screen, &said, "TOKEN")
	if err != nil || value.Reveal() != "of the terminal" || !strings.Contains(said.String(), "TOKEN") {
		t.Errorf("%q, %v, %q", value.Reveal(), err, said.String())
	}
}

// pseudoTerminal is a pair of ends: what is written to the hand is typed, and what is read from it was shown.
func pseudoTerminal(t *testing.T) (hand, screen *os.File) {
	t.Helper()
	hand, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hand.Close() })
	if err := unix.IoctlSetPointerInt(int(hand.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(hand.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	return hand, screen
}
