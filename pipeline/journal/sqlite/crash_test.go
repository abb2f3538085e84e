package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline/journal"
	"github.com/conveyor-ci/conveyor/pipeline/journal/sqlite"
)

// What this test binary does when a test starts it again as a child.
const (
	childEnv  = "JOURNAL_TEST_CHILD"
	childPath = "JOURNAL_TEST_PATH"
)

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "append":
		err = appendForEver(context.Background(), os.Getenv(childPath))
	case "full":
		err = fillTheDisk(context.Background(), os.Getenv(childPath))
	case "full while moving":
		err = fillTheDiskWhileMoving(context.Background(), os.Getenv(childPath))
	default:
		err = fmt.Errorf("%s=%s: no such child", childEnv, os.Getenv(childEnv))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(t testing.TB, what, path string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self)
	c.Env = append(os.Environ(), childEnv+"="+what, childPath+"="+path)
	c.Stderr = os.Stderr
	return c
}

// appendForEver appends from several goroutines, and says each stream's name once its record is acknowledged.
func appendForEver(ctx context.Context, path string) error {
	j, err := sqlite.OpenLimited(ctx, path, time.Now) // so that kills meet copies into the main file, too
	if err != nil {
		return err
	}
	const writers = 8
	errs := make(chan error, writers)
	acknowledged := make(chan string)
	for w := range writers {
		go func() {
			for i := 0; ; i++ {
				b := one(fmt.Sprintf("run/%d-%d-%d", os.Getpid(), w, i))
				b.Records[0].Data = make([]byte, 21<<10)
				b.Records = append(b.Records, journal.Record{Kind: "second"})
				if _, err := j.Append(ctx, b); err != nil {
					errs <- err
					return
				}
				acknowledged <- b.Stream
			}
		}()
	}
	for {
		select {
		case err := <-errs:
			return err
		case name := <-acknowledged:
			if _, err := fmt.Println(name); err != nil {
				return err
			}
		}
	}
}

func TestAKilledProcessLosesNothingItAcknowledgedAndHarmsNoOther(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path, time.Now) // this process appends to the same file all the time
	var acknowledged []string
	mine := int64(0)
	for _, until := range []int{1, 50, 400} { // the first is killed early, while the file is new
		c := child(t, "append", path)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ { // to the end: what was said before the kill counts
			acknowledged = append(acknowledged, lines.Text())
			if n%20 == 0 {
				b := one("parent")
				b.Expect = mine
				v, err := j.Append(t.Context(), b)
				if err != nil {
					t.Fatal(err)
				}
				mine = v
			}
			if n == until {
				if err := c.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := c.Wait(); err == nil {
			t.Fatal("the child ended before it was killed")
		}
	}
	if len(acknowledged) < 450 {
		t.Fatalf("only %d appends were acknowledged", len(acknowledged))
	}
	if records, err := j.Read(t.Context(), "parent", 0); err != nil || int64(len(records)) != mine {
		t.Fatalf("%d of this process's %d records are there (%v)", len(records), mine, err)
	}
	for _, name := range acknowledged {
		records, err := j.Read(t.Context(), name, 0)
		if err != nil || len(records) != 2 || len(records[0].Data) != 21<<10 {
			t.Fatalf("%s was acknowledged and has %d records (%v)", name, len(records), err)
		}
	}
	waiting, _, err := j.Depth(t.Context())
	if err != nil || waiting < len(acknowledged) {
		t.Fatalf("%d streams wait (%v), %d were acknowledged", waiting, err, len(acknowledged))
	}
	names, err := j.Streams(t.Context(), "run/", waiting+1)
	if err != nil || len(names) != waiting-1 { // "parent" waits too
		t.Fatalf("%d streams have work, %d are there (%v)", waiting, len(names), err)
	}
	for _, name := range names {
		if records, err := j.Read(t.Context(), name, 0); err != nil || len(records) != 2 {
			t.Fatalf("half a batch: %s has %d records (%v)", name, len(records), err)
		}
	}
}
