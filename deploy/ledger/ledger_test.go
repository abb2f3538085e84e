package ledger

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

var shop = pipeline.Repo{ID: 7, Owner: "octo", Name: "shop"}

// records are the facts of two repositories, some records with two of them.
func records(n int) (all []Record) {
	for i := range n {
		entry := deploy.Entry{
			What: deploy.WasApproved, Environment: "production", Deployment: fmt.Sprintf("production#%d", i),
			Commit: pipeline.Commit(strings.Repeat("e", 40)), Digest: pipeline.Digest("sha256:" + strings.Repeat("2", 64)),
			Approvals: []deploy.Approval{{Actor: pipeline.Actor{ID: 2, Login: "hubot"}, Role: pipeline.Maintain, Comment: int64(500 + i), Body: strings.Repeat("b", 64)}},
			At:        time.Date(2026, 11, 2, 12, 0, i, 0, time.UTC),
		}
		r := Record{Stream: fmt.Sprintf("repo/%d", 7+i%2), Version: int64(i + 1), Repository: shop, Entries: []deploy.Entry{entry}}
		if i%3 == 0 {
			entry.What, entry.Say = deploy.BecameVoid, "line\nbreak"
			r.Entries = append(r.Entries, entry)
		}
		all = append(all, r)
	}
	return all
}

func begin(t *testing.T, dir string) *Ledger {
	t.Helper()
	l, err := Open(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// written is a ledger of records in a new folder.
func written(t *testing.T, rs ...Record) (dir string, data []byte, public ed25519.PublicKey) {
	t.Helper()
	dir = t.TempDir()
	l := begin(t, dir)
	if err := l.Append(rs...); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, file(t, dir, File), key(t, dir)
}

func file(t *testing.T, dir, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func key(t *testing.T, dir string) ed25519.PublicKey {
	t.Helper()
	public, err := PublicKey(file(t, dir, PublicFile))
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func TestWhatIsSignedIsAsDSSEWritesIt(t *testing.T) {
	t.Parallel()
	// The example of https://github.com/secure-systems-lab/dsse/blob/master/protocol.md#test-vectors
	if got := string(pae("http://example.com/HelloWorld", []byte("hello world"))); got != "DSSEv1 29 http://example.com/HelloWorld 11 hello world" {
		t.Error(got)
	}
}

func TestALedgerProvesItselfAndIsAnInTotoStatementInEachLine(t *testing.T) {
	t.Parallel()
	_, data, public := written(t, records(6)...)
	var told []Line
	report, err := Verify(bytes.NewReader(data), public, "", func(l Line) { told = append(told, l) })
	if err != nil || report.Lines != 8 || len(told) != 8 {
		t.Fatalf("%d lines, %d told: %v", report.Lines, len(told), err)
	}
	var e struct{ PayloadType, Payload string }
	var s map[string]any
	first, _, _ := bytes.Cut(data, []byte("\n"))
	if err := json.Unmarshal(first, &e); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(e.Payload)
	if err != nil || json.Unmarshal(payload, &s) != nil {
		t.Fatal(err, string(payload))
	}
	subject := s["subject"].([]any)[0].(map[string]any)["digest"].(map[string]any)["sha256"]
	if e.PayloadType != "application/vnd.in-toto+json" || s["_type"] != "https://in-toto.io/Statement/v1" || subject != strings.Repeat("2", 64) ||
		s["predicateType"] != "https://github.com/conveyor-ci/conveyor/docs/ledger/approval/v1" {
		t.Errorf("%s", payload)
	}
}

// mutations are what someone could do to a ledger of eight lines, with the line that must be named.
func TestWhatWasDoneToALedgerIsFoundAtTheFirstBadLine(t *testing.T) {
	t.Parallel()
	_, data, public := written(t, records(6)...)
	_, foreign, stranger := written(t, records(6)...)
	honest, err := Verify(bytes.NewReader(data), public, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := func(change func([]string) []string) func() string {
		return func() string {
			return strings.Join(change(strings.SplitAfter(strings.TrimSuffix(string(data), "\n"), "\n")), "")
		}
	}
	onLine := func(n int, change func(string) string) func() string {
		return lines(func(l []string) []string { l[n-1] = change(l[n-1]); return l })
	}
	// reseal changes what a line says, in an envelope that is right but for its signature.
	reseal := func(n int, from, to string) func() string {
		return onLine(n, func(line string) string {
			var e envelope
			if err := json.Unmarshal([]byte(line), &e); err != nil || !bytes.Contains(e.Payload, []byte(from)) {
				t.Errorf("line %d does not say %q: %v", n, from, err)
			}
			e.Payload = bytes.Replace(e.Payload, []byte(from), []byte(to), 1)
			again, err := json.Marshal(e)
			if err != nil {
				t.Error(err)
			}
			return string(again) + "\n"
		})
	}
	other := strings.SplitAfter(string(foreign), "\n")
	for name, m := range map[string]struct {
		file func() string
		line int
		why  string
	}{
		"another actor":                    {reseal(3, `"id":2`, `"id":9`), 3, "signature"},
		"another role":                     {reseal(3, "maintain", "admin"), 3, "signature"},
		"another digest":                   {reseal(5, "222", "333"), 5, "signature"},
		"another commit":                   {reseal(5, "eee", "fff"), 5, "signature"},
		"another time":                     {reseal(1, "12:00:0", "13:00:0"), 1, "signature"},
		"another number":                   {reseal(4, `"sequence":4`, `"sequence":5`), 4, "signature"},
		"another previous":                 {reseal(2, `"previous":"`, `"previous":"0`), 2, "signature"},
		"another body":                     {reseal(6, "bbb", "ccc"), 6, "signature"},
		"a void word made an approval":     {reseal(2, `"what":"void"`, `"what":"approval"`), 2, "signature"},
		"another signature":                {onLine(4, func(l string) string { return strings.Replace(l, `"sig":"`, `"sig":"AAAA`, 1) }), 4, "signature"},
		"no signature":                     {onLine(4, func(l string) string { return l[:strings.Index(l, `"signatures"`)] + `"signatures":[]}` + "\n" }), 4, "as Conveyor writes it"},
		"another type":                     {onLine(2, func(l string) string { return strings.Replace(l, "in-toto", "text", 1) }), 2, "and not an in-toto statement"},
		"a blank within":                   {onLine(7, func(l string) string { return strings.Replace(l, `":"`, `": "`, 1) }), 7, "as Conveyor writes it"},
		"a field more":                     {onLine(7, func(l string) string { return strings.Replace(l, `{"payloadType`, `{"x":1,"payloadType`, 1) }), 7, "as Conveyor writes it"},
		"the first line removed":           {lines(func(l []string) []string { return l[1:] }), 1, "missing"},
		"a line in the middle removed":     {lines(func(l []string) []string { return slices.Delete(l, 3, 4) }), 4, "missing"},
		"two lines swapped":                {lines(func(l []string) []string { l[2], l[3] = l[3], l[2]; return l }), 3, "too early"},
		"a line twice":                     {lines(func(l []string) []string { return slices.Insert(l, 4, l[3]) }), 5, "second time"},
		"a line of another ledger":         {lines(func(l []string) []string { l[4] = other[4]; return l }), 5, "names the key"},
		"lines of another ledger appended": {func() string { return string(data) + string(foreign) }, 9, "names the key"},
		"an empty line":                    {lines(func(l []string) []string { return slices.Insert(l, 2, "\n") }), 3, "not a DSSE envelope"},
		"a torn last line":                 {func() string { return string(data[:len(data)-40]) }, 8, "torn"},
		"no end of the last line":          {func() string { return string(data[:len(data)-1]) }, 8, "torn"},
		"another end of lines":             {func() string { return strings.ReplaceAll(string(data), "\n", "\r\n") }, 1, "as Conveyor writes it"},
		"something else altogether":        {func() string { return "hello\n" }, 1, "not a DSSE envelope"},
		"the last line cut off":            {lines(func(l []string) []string { return l[:7] }), 8, "cut off"},
		"everything cut off":               {func() string { return "" }, 1, "cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Verify(strings.NewReader(m.file()), public, honest.Head, nil)
			var bad *Bad
			if !errors.As(err, &bad) || bad.Line != m.line || !strings.Contains(bad.Why, m.why) {
				t.Errorf("want line %d, because of %q; got %v", m.line, m.why, err)
			}
		})
	}
	if _, err := Verify(bytes.NewReader(data), stranger, "", nil); err == nil {
		t.Error("a stranger's key proves it")
	}
}

func TestEveryByteOfALedgerCounts(t *testing.T) {
	t.Parallel()
	_, data, public := written(t, Record{Stream: "repo/7", Version: 1, Repository: shop, Entries: []deploy.Entry{{What: deploy.HasStarted, Digest: "sha256:22"}}})
	honest, err := Verify(bytes.NewReader(data), public, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		changed := slices.Clone(data)
		changed[i] ^= 1
		if _, err := Verify(bytes.NewReader(changed), public, honest.Head, nil); err == nil {
			t.Errorf("byte %d, %q, may be %q", i, data[i], changed[i])
		}
	}
}

// A line that was noted once stays where it was, however the ledger grows.
func TestALedgerThatHasGrownStillHoldsTheHeadOfBefore(t *testing.T) {
	t.Parallel()
	dir, data, public := written(t, records(3)...)
	before, err := Verify(bytes.NewReader(data), public, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := begin(t, dir).Append(records(6)...); err != nil {
		t.Fatal(err)
	}
	after, err := Verify(bytes.NewReader(file(t, dir, File)), public, before.Head, nil)
	if err != nil || after.Lines != 8 || after.Head == before.Head {
		t.Errorf("%+v, %v", after, err)
	}
}

func TestACrashAtAnyByteLosesNothingAndTellsNothingTwice(t *testing.T) {
	t.Parallel()
	dir, whole, _ := written(t, records(3)...)
	for at := 0; at <= len(whole); at += 53 {
		torn := t.TempDir()
		for name, data := range map[string][]byte{File: whole[:at], KeyFile: file(t, dir, KeyFile)} {
			if err := os.WriteFile(filepath.Join(torn, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		l := begin(t, torn)
		for range 2 { // the journal is told from its start, as after each start of the server
			if err := l.Append(records(3)...); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(file(t, torn, File), whole) {
			t.Fatalf("torn at byte %d, it becomes\n%s", at, file(t, torn, File))
		}
	}
}

func TestTheKeyIsTheServersAloneAndIsNotReplaced(t *testing.T) {
	t.Parallel()
	dir, _, _ := written(t, records(1)...)
	info, err := os.Stat(filepath.Join(dir, KeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if err := os.Remove(filepath.Join(dir, KeyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, ""); err == nil || !strings.Contains(err.Error(), "put the key back") {
		t.Errorf("a ledger goes on without its key: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, File)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, ""); err != nil {
		t.Errorf("a new ledger cannot begin: %v", err)
	}
}

func TestALedgerThatIsNoneIsNotContinued(t *testing.T) {
	t.Parallel()
	dir, data, _ := written(t, records(1)...)
	if err := os.WriteFile(filepath.Join(dir, File), append([]byte("hello\n"), data...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, ""); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("%v", err)
	}
}

func TestTheKeyMayLieElsewhereAndALedgerIsNotContinuedWithAnother(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "signing.pem")
	l, err := Open(dir, elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Append(records(1)...), l.Close()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(elsewhere); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(dir, KeyFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key lies beside the ledger: %v", err)
	}
	if report, err := Verify(bytes.NewReader(file(t, dir, File)), key(t, dir), "", nil); err != nil || report.Lines == 0 {
		t.Errorf("the public key beside it proves nothing: %v", err)
	}
	before := file(t, dir, PublicFile)
	other, _, _ := written(t, records(1)...)
	if _, err := Open(dir, filepath.Join(other, KeyFile)); err == nil || !strings.Contains(err.Error(), "its last line was signed with the key SHA256:") {
		t.Errorf("it goes on with another key: %v", err)
	}
	if !bytes.Equal(before, file(t, dir, PublicFile)) {
		t.Error("the public key of another one was put beside it")
	}
	if err := os.Rename(elsewhere, filepath.Join(dir, KeyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, elsewhere); err == nil || !strings.Contains(err.Error(), "move it: mv ") {
		t.Errorf("a key that was not moved yet: %v", err)
	}
	if again, err := Open(dir, ""); err != nil || again.Close() != nil {
		t.Errorf("with its own key it does not go on: %v", err)
	}
}
