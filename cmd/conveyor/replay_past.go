package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/app"
)

// begin forgets the calls so far: they were made to get where the delivery begins.
func (w *world) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = nil
}

// number gives what is made next its number of there, when there is a history to fit.
func (w *world) number(there int64) {
	if w.fits && there != 0 {
		w.github.Number(there)
	}
}

// populate makes the people of a history and of the payload, each with the number of there.
func (w *world) populate(past []app.Stream) {
	if past == nil {
		return
	}
	owner := text(w.p, "repository", "owner", "login")
	meet := func(o object) {
		login, _ := o["login"].(string)
		id, _ := o["id"].(json.Number)
		n, err := id.Int64()
		kind, _ := o["type"].(string)
		if login == "" || strings.EqualFold(login, owner) && kind != "User" || err != nil || n <= 0 || strings.HasSuffix(login, "[bot]") || kind != "" && kind != "User" {
			return
		}
		w.github.Number(n)
		w.github.AddUser(login)
		w.github.Number(0) // whoever was there already has taken none
	}
	each(w.p, meet)
	for _, s := range past {
		for _, r := range s.Records {
			if o, err := decode(r.Data); err == nil {
				each(o, meet)
			}
		}
	}
}

// moved is a history in which the commits of here stand for those of there, as in the payload. Of other commits this world
// knows nothing, as of a repository that was rewritten.
func (w *world) moved(past []app.Stream) []app.Stream {
	all := slices.Clone(past)
	for i, s := range all {
		all[i].Records = slices.Clone(s.Records)
		for k, r := range all[i].Records {
			all[i].Records[k].Data = commitWord.ReplaceAllFunc(r.Data, w.here)
		}
	}
	return all
}

// commitWord is what may be a commit, or the beginning of one.
var commitWord = regexp.MustCompile(`\b[0-9a-f]{7,40}\b`)

// here is the commit of here for one of there, as long as it was written.
func (w *world) here(word []byte) []byte {
	for n := 0; n+1 < len(w.renamed); n += 2 {
		if strings.HasPrefix(w.renamed[n], string(word)) {
			return []byte(w.renamed[n+1][:len(word)])
		}
	}
	return word
}

// sayHere lets a comment speak of the commits of here.
func (w *world) sayHere() {
	if comment := at(w.p, "comment"); w.fits && comment != nil {
		comment["body"] = string(commitWord.ReplaceAllFunc([]byte(text(comment, "body")), w.here))
	}
}
