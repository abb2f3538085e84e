package dashboard_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/golden"
)

func TestEachStateOfARunHasItsPage(t *testing.T) {
	t.Parallel()
	for name, make := range situations {
		if name == "many stages and long names" {
			continue // it differs from the others in its length only; the browser looks at it
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.define()
			run := make(s)
			stream := connect(t, s.serve().URL+address(run)+"/state", "")
			stream.named("now")
			live := stream.named("state").data
			// What the stream says first is what the page holds, so that nothing moves when the script begins.
			if page := get(t, s, address(run)).Body.String(); !strings.Contains(page, `/state">`+live+"</main>") {
				t.Error("the page differs from the stream's first event")
			}
			file := strings.NewReplacer(" ", "_", ",", "").Replace(name) + ".html"
			golden.Equal(t, filepath.Join("testdata", "live", file), tidy(live))
		})
	}
}

// tidy leaves out what a reader of the golden files does not need: empty lines, and the drawings of icons.
func tidy(page string) string {
	var b strings.Builder
	for line := range strings.Lines(page) {
		for {
			before, rest, found := strings.Cut(line, `<svg class="icon `)
			if !found {
				break
			}
			shape, rest, _ := strings.Cut(rest, `"`)
			_, rest, _ = strings.Cut(rest, "</svg>")
			line = before + "[" + shape + "]" + rest
		}
		if strings.TrimSpace(line) != "" {
			b.WriteString(strings.TrimRight(line, " \n") + "\n")
		}
	}
	return b.String()
}
