package logs

import (
	"fmt"
	"strings"
	"testing"
)

func TestALogThatIsCutKeepsItsLastLinesMasked(t *testing.T) {
	t.Parallel()
	const limit = 4 * tailSize
	for name, fill := range map[string]int{"much is missing": 3 * limit, "little is missing": limit + tailSize/2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := opened(t)
			w, err := s.Writer("run/1/a/b/1", []string{"hidden-value"}, limit)
			must(t, err)
			printed := 0
			for n := 0; printed < fill; n++ {
				line := fmt.Sprintf("line %d has hidden-value in it\n", n)
				_, err := w.Write([]byte(line))
				must(t, err)
				printed += len(line) - len("hidden-value") + len(Mask)
			}
			_, err = w.Write([]byte("the very end: hidden-"))
			must(t, err)
			_, err = w.Write([]byte("value\n"))
			must(t, err)
			must(t, w.Close())
			must(t, s.Verify("run/1/a/b/1"))
			got := written(t, s, "run/1/a/b/1")
			if !strings.HasPrefix(got, "line 0 has *** in it\n") || !strings.HasSuffix(got, " in it\nthe very end: ***\n") || strings.Contains(got, "hidden") {
				t.Errorf("it begins with %.40q, and ends with %q", got, got[len(got)-40:])
			}
			if len(got) > limit+tailSize+500 || strings.Count(got, "The log is cut here") != 1 {
				t.Errorf("%d bytes are stored", len(got))
			}
			_, after, _ := strings.Cut(got, "last lines follow when the step has ended.\n")
			missing := strings.HasPrefix(after, "[conveyor] ")
			if e, err := s.End("run/1/a/b/1"); err != nil || missing != (e.Dropped > 0) || missing != (name == "much is missing") {
				t.Errorf("%+v, %v: %.80q", e, err, after)
			}
			if missing {
				_, after, _ = strings.Cut(after, "\n")
				if !strings.HasPrefix(after, "line ") {
					t.Errorf("the end begins with half a line: %.40q", after)
				}
			}
		})
	}
}
