package deploy

import (
	"regexp"
	"slices"
	"strings"
)

// CodeownersPaths are where GitHub looks for the file, in this order; the first one that is there counts.
var CodeownersPaths = []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"}

// What bounds the file: beyond, nobody could say in time whom a change belongs to, or show it.
const (
	maxOwnerRules   = 5000
	maxOwnersOfRule = 30
	maxOwnerName    = 150
)

// Owners are the rules of a CODEOWNERS file.
//
// https://docs.github.com/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners
type Owners struct {
	rules []ownerRule
}

type ownerRule struct {
	forms  [][]string // segments of paths; a file that fits one of them belongs to the owners
	owners []string
}

var ownerForm = regexp.MustCompile(`^@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:_[A-Za-z0-9]+)?(?:/[A-Za-z0-9_.-]+)?$`)

// ParseOwners reads the CODEOWNERS file of an organisation's or a person's repository. As GitHub does, it skips a line that
// it does not understand. Nobody can be recognised by a mail address, or as a member of another organisation's team: such
// an owner keeps the file, and loses the @. complete is false when the file has too many rules to be used.
func ParseOwners(file []byte, org string) (o *Owners, complete bool) {
	o = &Owners{}
	for line := range strings.Lines(string(file)) {
		words := ownerWords(strings.TrimRight(line, "\r\n"))
		if len(words) == 0 {
			continue
		}
		forms, ok := ownerForms(words[0])
		rule := ownerRule{forms: forms}
		for _, w := range words[1:] {
			switch {
			case ownerForm.MatchString(w):
				if of, _, isTeam := strings.Cut(w[1:], "/"); isTeam && !strings.EqualFold(of, org) {
					w = w[1:]
				}
				rule.owners = append(rule.owners, w)
			case strings.HasPrefix(w, "@"), strings.Count(w, "@") != 1, strings.ContainsAny(w, " \t"): // a blank that was escaped, too
				ok = false
			default:
				rule.owners = append(rule.owners, w)
			}
			if n := len(rule.owners); n > 0 && len(rule.owners[n-1]) > maxOwnerName {
				rule.owners[n-1] = strings.TrimPrefix(rule.owners[n-1], "@")[:maxOwnerName]
			}
		}
		if !ok {
			continue
		}
		slices.Sort(rule.owners)
		rule.owners = slices.Compact(rule.owners)
		rule.owners = rule.owners[:min(len(rule.owners), maxOwnersOfRule)] // fewer owners open no more
		if o.rules = append(o.rules, rule); len(o.rules) > maxOwnerRules {
			return &Owners{}, false
		}
	}
	return o, true
}

// ownerWords splits a line at its blanks, up to a comment. A backslash takes the meaning from a blank.
func ownerWords(line string) (words []string) {
	var word strings.Builder
	flush := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line) && (line[i+1] == ' ' || line[i+1] == '\t'):
			i++
			word.WriteByte(line[i])
		case c == ' ' || c == '\t':
			flush()
		case c == '#' && word.Len() == 0:
			return words
		default:
			word.WriteByte(c)
		}
	}
	flush()
	return words
}

// ownerForms are the forms that a pattern stands for: of a file, and of everything below a folder. GitHub knows neither
// negation nor ranges here, and no way to begin a pattern with #.
func ownerForms(pattern string) (forms [][]string, ok bool) {
	if strings.HasPrefix(pattern, "!") || strings.HasPrefix(pattern, `\`) || strings.ContainsAny(pattern, "[]") {
		return nil, false
	}
	trimmed := strings.Trim(pattern, "/")
	if trimmed == "" {
		return nil, false
	}
	segments := strings.Split(trimmed, "/")
	if slices.Contains(segments, "") {
		return nil, false
	}
	if !strings.Contains(strings.TrimSuffix(pattern, "/"), "/") { // a bare name is looked for everywhere
		segments = append([]string{"**"}, segments...)
	}
	last := segments[len(segments)-1]
	if last == "**" {
		segments = append(segments, "*")
	}
	below := append(slices.Clone(segments), "**", "*")
	switch {
	case strings.HasSuffix(pattern, "/"):
		return [][]string{below}, true
	case last == "*" && segments[0] != "**": // docs/* is what lies in docs, and nothing deeper
		return [][]string{segments}, true
	}
	return [][]string{segments, below}, true
}

// Of are the owners of a file: those of the last line that fits it. Sorted; none when nobody owns it.
func (o *Owners) Of(file string) []string {
	parts := strings.Split(file, "/")
	for i := len(o.rules) - 1; i >= 0; i-- {
		for _, form := range o.rules[i].forms {
			if fits(form, parts, "**", fitsSegment) {
				return o.rules[i].owners
			}
		}
	}
	return nil
}

func fitsSegment(pattern, name string) bool {
	return fits([]rune(pattern), []rune(name), '*', func(p, r rune) bool { return p == '?' || p == r })
}

// fits compares a pattern with a text, both in pieces. any stands for any number of pieces. It goes back to the last any
// only, so that no pattern takes longer than the product of both lengths.
func fits[T comparable](pattern, text []T, any T, one func(p, t T) bool) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == any:
			star, mark = p, t
			p++
		case p < len(pattern) && one(pattern[p], text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == any {
		p++
	}
	return p == len(pattern)
}
