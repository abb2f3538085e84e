package dashboard

import "time"

// Hurry makes the streams beat, look for logs and give up slow readers in less time.
func (p *Pages) Hurry(beat, look, slow time.Duration) { p.beat, p.look, p.slow = beat, look, slow }

// Shorten makes a page begin near the end of smaller logs than it does otherwise.
func (p *Pages) Shorten(long, shown int64) { p.long, p.shown = long, shown }

// The pieces that need no server to be tried.
var (
	Printed        = printed
	Folded         = folded
	Decided        = decided
	WithoutReturns = withoutReturns
	Took           = took
	Plain          = plain
)
