package planfile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// check compares a value with its rule. A misspelt key is mended in the value once it has been reported, so that what
// hangs on it is not reported as missing.
func check(v *value, r *rule, name string, m *mistakes) {
	form := r.form(v.kind)
	if form == nil {
		wrongKind(v, r, name, m)
		return
	}
	switch form.kind {
	case text:
		if !form.words.ok(v.at, subject(name), v.word, m) {
			v.word = cmp.Or(near(v.word, form.words.oneOf), v.word)
		}
	case number:
		checkNumber(v, form, name, m)
	case list:
		checkCount(v, form, name, "item", len(v.items), m)
		for _, item := range v.items {
			check(item, form.item, name, m)
		}
	case mapping:
		checkMapping(v, form, name, m)
	}
}

func wrongKind(v *value, r *rule, name string, m *mistakes) {
	var kinds []string
	for f := r; f != nil; f = f.or {
		if word := f.kind.String(); !slices.Contains(kinds, word) {
			kinds = append(kinds, word)
		}
	}
	hint := r.hint
	if hint == "" && r.kind == text && (v.kind == number || v.kind == flag) {
		if _, hint = r.words.complaint(v.word); hint == "" {
			hint = fmt.Sprintf("put it in quotes: %s", quote(v.word))
		}
	}
	if hint == "" && name != "" && len(r.example) < 60 {
		hint = fmt.Sprintf("for example %s: %s", name, flow(r.example))
	}
	if v.kind == nothing {
		m.add(v.at, hint, "%s has no value; it must be %s", subject(name), strings.Join(kinds, " or "))
		return
	}
	m.add(v.at, hint, "%s must be %s, and this is %s", subject(name), strings.Join(kinds, " or "), v.kind)
}

func checkNumber(v *value, r *rule, name string, m *mistakes) {
	n, err := strconv.Atoi(v.word)
	octal := strings.TrimLeft(v.word, "0") != v.word && v.word != "0" // YAML reads 010 as 8
	if err != nil || octal || strings.HasPrefix(v.word, "+") || n < r.least || r.most > 0 && n > r.most {
		hint := r.hint
		if hint == "" {
			hint = fmt.Sprintf("write a whole number from %d to %d", r.least, r.most)
		}
		m.add(v.at, hint, "%s cannot be %s", subject(name), shorten(v.word, 40))
	}
}

func checkCount(v *value, r *rule, name, what string, n int, m *mistakes) {
	switch {
	case n < r.least:
		m.add(v.at, r.hint, "%s is empty", subject(name))
	case r.most > 0 && n > r.most:
		m.add(v.at, "", "%s has %d %ss; at most %d are allowed", subject(name), n, what, r.most)
	}
}

func checkMapping(v *value, r *rule, name string, m *mistakes) {
	m.mend(v, r)
	for _, f := range v.fields {
		switch known := r.key(f.key); {
		case known != nil:
			check(f.value, known, f.key, m)
		case r.rest != nil && !r.isLater(f.key):
			if r.names.ok(f.at, r.called, f.key, m) {
				check(f.value, r.rest, f.key, m)
			}
		}
	}
	for _, k := range r.keys {
		if k.needed && v.field(k.name) == nil {
			m.add(v.at, k.missing, "%s is missing%s", quote(k.name), in(name))
		}
	}
	r.one(v, name, m)
	if n := len(v.fields); n < r.least || r.most > 0 && n > r.most {
		checkCount(v, r, name, "key", n, m)
	}
}

// one wants one of the keys that stand for each other, and not two.
func (r *rule) one(v *value, name string, m *mistakes) {
	var there []*field
	for _, f := range v.fields {
		if slices.Contains(r.either, f.key) {
			there = append(there, f)
		}
	}
	switch {
	case len(r.either) > 0 && len(there) == 0:
		m.add(v.at, r.lacks, "%s is missing%s", quote(r.either[0]), in(name))
	case len(there) > 1:
		m.add(there[1].at, "keep one of them", "%s stands beside %s, and each says what is done", quote(there[1].key), quote(there[0].key))
	}
}

// mend reports the keys that are not known, and reads a misspelt one as the key that was meant.
func (m *mistakes) mend(v *value, r *rule) {
	var free, all []string
	for _, k := range r.keys {
		all = append(all, k.name)
		if v.field(k.name) == nil {
			free = append(free, k.name)
		}
	}
	for _, f := range v.fields {
		if r.key(f.key) != nil {
			continue
		}
		if instead, ok := r.laterKey(f.key); ok {
			m.add(f.at, instead, "this version does not support %s", quote(f.key))
			continue
		}
		if r.rest != nil {
			continue
		}
		meant := near(f.key, free)
		if meant == "" {
			m.add(f.at, "known here: "+strings.Join(all, ", "), "unknown key %s", quote(f.key))
			continue
		}
		m.add(f.at, fmt.Sprintf("did you mean %s?", quote(meant)), "unknown key %s", quote(f.key))
		f.key = meant
		free = slices.DeleteFunc(free, func(name string) bool { return name == meant })
	}
}

func (r *rule) laterKey(name string) (instead string, ok bool) {
	for _, l := range r.later {
		if l.name == name {
			return l.instead, true
		}
	}
	return "", false
}

func (r *rule) isLater(name string) bool {
	_, ok := r.laterKey(name)
	return ok
}

func subject(name string) string {
	if name == "" {
		return "the file"
	}
	return quote(name)
}

func in(name string) string {
	if name == "" {
		return ""
	}
	return " in " + quote(name)
}

// flow writes JSON as people write YAML: without quotes where none are needed.
func flow(json string) string {
	word, err := strconv.Unquote(json)
	if err == nil && !strings.ContainsAny(word, " :{}[],#&*!|>'\"%@`") {
		return word
	}
	return json
}
