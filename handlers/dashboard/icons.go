package dashboard

import (
	"html/template"
	"strings"
)

// state is how something stands: a word, and a shape that says the same to those who see no colours.
type state struct{ Word, Shape, Class string }

var states = map[string]state{
	"queued":          {"queued", "ring", "off"},
	"running":         {"running", "turn", "busy"},
	"retry":           {"tried again", "turn", "busy"},
	"success":         {"passed", "check", "good"},
	"passed":          {"passed", "check", "good"},
	"failure":         {"failed", "cross", "bad"},
	"failed":          {"failed", "cross", "bad"},
	"timed_out":       {"timed out", "clock", "bad"},
	"resource":        {"over its limits", "cross", "bad"},
	"infrastructure":  {"given up", "mark", "bad"},
	"cancelled":       {"cancelled", "square", "off"},
	"action_required": {"needs a maintainer", "hand", "wait"},
	"skipped":         {"skipped", "dash", "off"},
	"not run":         {"not run", "dash", "off"},
	"left out":        {"left out", "dash", "off"},
	"may fail":        {"failed, and may", "mark", "off"},
	"live":            {"live", "check", "good"},
	"deploying":       {"deploying", "turn", "busy"},
	"waiting":         {"waiting", "hand", "wait"},
	"later":           {"not yet", "ring", "off"},
	"removed":         {"taken down", "dash", "off"},
	"replaced":        {"replaced", "arrow", "off"},
}

// shapes are drawings of 16 by 16: class f is filled with the state's colour, class s is drawn on it in the ground's,
// class o is drawn in the state's.
var shapes = map[string]string{
	"check":  `<circle class="f" cx="8" cy="8" r="7.5"/><path class="s" d="M4.6 8.3l2.4 2.4 4.5-5"/>`,
	"cross":  `<circle class="f" cx="8" cy="8" r="7.5"/><path class="s" d="M5.3 5.3l5.4 5.4m0-5.4l-5.4 5.4"/>`,
	"mark":   `<circle class="f" cx="8" cy="8" r="7.5"/><path class="s" d="M8 3.9v5m0 2.5v.4"/>`,
	"clock":  `<circle class="f" cx="8" cy="8" r="7.5"/><path class="s" d="M8 3.8v4.5l2.8 1.8"/>`,
	"square": `<rect class="f" x="2" y="2" width="12" height="12" rx="2.5"/><path class="s" d="M5.8 8h4.4"/>`,
	"hand":   `<rect class="f" x="1" y="1" width="14" height="14" rx="4"/><path class="s" d="M6 5v6m4-6v6"/>`,
	"turn":   `<circle class="o" cx="8" cy="8" r="6.4" opacity=".3"/><path class="o" d="M8 1.6a6.4 6.4 0 0 1 6.4 6.4"/>`,
	"ring":   `<circle class="o" cx="8" cy="8" r="6.4" stroke-dasharray="2.2 1.82"/>`,
	"dash":   `<circle class="o" cx="8" cy="8" r="6.4"/><path class="o" d="M5.2 8h5.6"/>`,
	"arrow":  `<circle class="o" cx="8" cy="8" r="6.4"/><path class="o" d="M5 8h5.6m-2.4-2.6L10.8 8l-2.6 2.6"/>`,
}

// icon is a shape as markup, made of constants of this file. It takes the colour of the text around it.
func icon(shape string) template.HTML {
	return template.HTML(`<svg class="icon ` + shape + `" viewBox="0 0 16 16" aria-hidden="true">` + shapes[shape] + `</svg>`)
}

// inks are the colours of the classes where no style sheet reaches: in the browser's tab.
var inks = map[string]string{"good": "#1a7f45", "bad": "#c4281c", "busy": "#b77400", "wait": "#6a4fc8", "off": "#6b7280"}

// tabIcon is the drawing that a run's tab shows.
func tabIcon(class, ink string) []byte {
	shape := map[string]string{"good": "check", "bad": "cross", "busy": "turn", "wait": "hand", "off": "dash"}[class]
	line := `fill="none" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" stroke=`
	drawn := strings.NewReplacer(`class="f"`, `fill="`+ink+`"`, `class="s"`, line+`"#fff"`, `class="o"`, line+`"`+ink+`"`).Replace(shapes[shape])
	return []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">` + drawn + `</svg>`)
}
