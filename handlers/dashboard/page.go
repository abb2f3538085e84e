package dashboard

import (
	"html/template"
	"regexp"
	"strconv"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// pageView is a run's page: what changes, and the log beside it.
type pageView struct {
	Assets assetNames
	Live   liveView
	Log    logView
	Alone  bool // there is no log, and there will be none
}

// logView is the log that the page shows first.
type logView struct {
	Query  string // "unit/1"; empty when there is none yet
	Step   string
	Chosen bool          // by the address
	Tail   template.HTML // escaped, with colours and groups
}

// What a page shows of a log where scripts are off.
const (
	tailLines = 100
	tailBytes = 16 << 10
)

// page adds the log that was chosen, or the one that people most likely want.
func (p *Pages) page(s pipeline.State, live liveView, chosen string) pageView {
	v := pageView{Assets: p.assets.names, Live: live}
	v.Log.Query, v.Alone = live.Auto, live.Auto == "" && live.Over
	step, number, _ := strings.Cut(chosen, "/")
	if n, err := strconv.Atoi(number); err == nil && logQuery(step, n) == chosen && hasAttempt(s, step, n) {
		v.Log.Query, v.Log.Chosen = chosen, true
	}
	step, number, _ = strings.Cut(v.Log.Query, "/")
	attempt, err := strconv.Atoi(number)
	if err != nil {
		return v // nothing has begun
	}
	v.Log.Step = step
	if tail, err := p.o.Logs.Tail(p.logName(s, step, attempt), tailLines); err == nil {
		v.Log.Tail = folded(string(tail[max(0, len(tail)-tailBytes):]))
	}
	if words := p.goneWords(p.logName(s, step, attempt)); words != "" {
		v.Log.Tail = folded(words)
	}
	return v
}

// escapes are what programs say to the terminal, as ECMA-48 has it: controls, strings such as links and titles, and
// the rest.
var escapes = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])`)

// printed is a log's text as a terminal shows it, without colours. The script's terminal.js does the same, and colours.
func printed(text string) string {
	all := strings.Split(escapes.ReplaceAllString(strings.ReplaceAll(text, "\r\n", "\n"), ""), "\n")
	for i, line := range all {
		if at := strings.LastIndexByte(strings.TrimRight(line, "\r"), '\r'); at >= 0 {
			line = line[at+1:] // a progress bar: what was written last is what is seen
		}
		all[i] = line
	}
	return lines(strings.Join(all, "\n"))
}
