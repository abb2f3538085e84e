package logs

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A step may print without end. What the log takes of the disk and of memory has one, and who reads it sees that it was cut.
// It is not parallel: it looks at the memory of the whole process.
func TestAFloodOf10GBLeavesItsLimitAndSaysSo(t *testing.T) {
	const limit, all = 8 << 20, 10 << 30
	for what, line := range map[string]string{
		"lines":                    strings.Repeat("a line of a log that nobody asked for\n", 6900),
		"one line that never ends": strings.Repeat("x", 256<<10),
	} {
		s := opened(t)
		w, err := s.Writer(name, nil, limit)
		must(t, err)
		block := []byte(line)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		sent := int64(0)
		for sent < all/2 {
			n, err := w.Write(block)
			must(t, err)
			sent += int64(n)
		}
		must(t, w.Close())
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Errorf("%s: it took %d MiB of memory", what, used>>20)
		}
		var size int64
		must(t, filepath.WalkDir(s.root.Name(), func(_ string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				info, err := d.Info()
				must(t, err)
				size += info.Size()
			}
			return err
		}))
		if size < limit/2 || size > limit+limit/4 {
			t.Errorf("%s: %d bytes are on the disk", what, size)
		}
		got := written(t, s, name)
		if strings.Count(got, "[conveyor] The log is cut here") != 1 {
			t.Errorf("%s: it does not say that it was cut", what)
		}
		if e, err := s.End(name); err != nil || e.Dropped+int64(len(got)) < sent {
			t.Errorf("%s: of %d bytes %d were dropped and %d are there: %v", what, sent, e.Dropped, len(got), err)
		}
		must(t, s.Verify(name))
	}
}
