package static

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/conveyor-ci/conveyor/deploy/target"
	"github.com/conveyor-ci/conveyor/pipeline"
)

// entry is a line of .cd/journal.jsonl. It is durable before the step that it names acts.
type entry struct {
	At         time.Time       `json:"at"`
	Step       string          `json:"step"` // stage, place, switch, prune, done; remove, removed
	Deployment string          `json:"deployment"`
	Token      int64           `json:"token"`
	Digest     pipeline.Digest `json:"digest,omitempty"`
	Release    string          `json:"release,omitempty"`
	Before     string          `json:"before,omitempty"` // of a switch: the release that was served
}

// journalLimit is the size from which on the older half of a journal is dropped. It holds thousands of deployments; only
// the newest matter for recovery.
const journalLimit = 1 << 20

func (c *claim) journal() string { return filepath.Join(c.place.own(), "journal.jsonl") }

// note writes a step down before it is done.
func (c *claim) note(e entry) error {
	e.At, e.Deployment, e.Token, e.Digest = c.t.now().UTC(), c.d.ID, c.d.Token, c.d.Digest
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("static: %w", err)
	}
	line = append(line, '\n')
	old, err := os.ReadFile(c.journal())
	renamed := false
	switch {
	case errors.Is(err, fs.ErrNotExist):
		renamed = true
	case err != nil:
		return fmt.Errorf("static: read the journal: %w", err)
	case len(old) > journalLimit:
		half := old[len(old)/2:]
		half = half[bytes.IndexByte(half, '\n')+1:]
		if err := writeDurably(c.journal()+".new", os.O_CREATE|os.O_TRUNC, append(half, line...)); err != nil {
			return fmt.Errorf("static: shorten the journal: %w", err)
		}
		if err := os.Rename(c.journal()+".new", c.journal()); err != nil {
			return fmt.Errorf("static: shorten the journal: %w", err)
		}
		line, renamed = nil, true
	case len(old) > 0 && old[len(old)-1] != '\n':
		line = append([]byte{'\n'}, line...) // the line before was torn by a crash
	}
	if line != nil {
		if err := writeDurably(c.journal(), os.O_CREATE|os.O_APPEND, line); err != nil {
			return fmt.Errorf("static: write the journal: %w", err)
		}
	}
	if renamed {
		if err := syncFolder(c.place.own()); err != nil {
			return fmt.Errorf("static: write the journal: %w", err)
		}
	}
	c.t.point("noted " + e.Step)
	return nil
}

// last is the newest entry that fits. Lines torn by a crash are passed over.
func (c *claim) last(fits func(entry) bool) (found entry) {
	b, err := os.ReadFile(c.journal())
	if err != nil {
		return entry{} // nothing is known, as in a new place
	}
	for line := range bytes.Lines(b) {
		var e entry
		if json.Unmarshal(line, &e) == nil && fits(e) {
			found = e
		}
	}
	return found
}

// began is the name of the release that this deployment began to stage before a crash.
func (c *claim) began(d target.Deployment) string {
	e := c.last(func(e entry) bool { return e.Step == "stage" && e.Deployment == d.ID && e.Digest == d.Digest })
	if !releaseForm.MatchString(e.Release) {
		return ""
	}
	return e.Release
}

// before is the release that was served before release was switched to.
func (c *claim) before(release string) string {
	return c.last(func(e entry) bool { return e.Step == "switch" && e.Release == release && e.Before != release }).Before
}
