package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAnAimThatIsMissedIsSaidInTheTable(t *testing.T) {
	t.Parallel()
	rows := []row{
		higher("fast enough", "requests/s", 300, 1000, "the limit").aim(0.25),
		higher("too slow", "requests/s", 200, 1000, "the limit").aim(0.25),
		lower("as much as allowed", "ms", 150, 100, "by hand").aim(1.5),
		lower("too much", "ms", 151, 100, "by hand").aim(1.5),
		lower("never", "answers", 0, 0, "none").aim(0),
		lower("once", "answers", 1, 0, "none").aim(0),
		lower("only told", "ms", 9, 3, "by hand"),
	}
	var verdicts []string
	for _, r := range rows {
		verdicts = append(verdicts, r.verdict())
	}
	if got := strings.Join(verdicts, " "); got != "met missed met missed met missed " {
		t.Errorf("the verdicts are %q", got)
	}
	var table bytes.Buffer
	show(&table, rows, "0 0 0", "1 1 1")
	if strings.Count(table.String(), "missed") != 3 || !strings.Contains(table.String(), "load average 0 0 0 before and 1 1 1 after") {
		t.Errorf("the table says:\n%s", table.String())
	}
}

func TestTheRowsAreWrittenForPrograms(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bench.json")
	if err := write(path, []row{lower("a", "ms", 2.00049, 3, "b").aim(1.5), higher("c", "MB", 1, 2, "d")}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	first := rows[0]
	if len(rows) != 2 || len(first) != 8 || first["ours"] != 2.0 || first["ratio"] != 0.6668 || first["aim"] != 1.5 || rows[1]["aim"] != nil || rows[1]["better"] != "higher" {
		t.Errorf("it holds %s", text)
	}
}

func TestQuantilesAreThoseOfTheSortedValues(t *testing.T) {
	t.Parallel()
	values := []float64{5, 1, 4, 2, 3}
	for share, want := range map[float64]float64{0: 1, 0.5: 3, 0.75: 4, 1: 5, 0.625: 3.5} {
		if got := quantile(values, share); got != want {
			t.Errorf("%v: %v, want %v", share, got, want)
		}
	}
	if median(nil) != 0 || values[0] != 5 {
		t.Error("nothing has no median, and the values stay as they were")
	}
}

func TestAnAnswerIsReadWholeHoweverItArrives(t *testing.T) {
	t.Parallel()
	answer := "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nLater"
	status, body, err := readAnswer(iotest.OneByteReader(strings.NewReader(answer)), make([]byte, 200))
	if status != 503 || string(body) != "Later" || err != nil {
		t.Errorf("it was read as %d %q: %v", status, body, err)
	}
	for _, broken := range []string{answer[:len(answer)-1], "HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 300)} {
		if status, _, err := readAnswer(strings.NewReader(broken), make([]byte, 200)); err == nil {
			t.Errorf("%q was read as %d", broken, status)
		}
	}
}

func TestARequestChangesInItsGUIDOnly(t *testing.T) {
	t.Parallel()
	l := post("127.0.0.1:1", strings.Repeat("a", 64), 7, []byte("{}"))
	if got := string(l.request[l.guid : l.guid+len(guidForm)]); got != guidForm || !bytes.HasSuffix(l.request, []byte("\r\n\r\n{}")) {
		t.Errorf("the GUID stands elsewhere: %q in %q", got, l.request)
	}
}
