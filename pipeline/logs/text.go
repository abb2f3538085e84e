package logs

// Words shows texts as a log with the same secrets would: for the few words of a step that go elsewhere. The zero value
// shows everything. It may be used by several at once.
type Words struct{ search *search }

// NewWords prepares for many texts.
func NewWords(secrets []string) Words {
	if len(secrets) == 0 {
		return Words{}
	}
	return Words{newSearch(forms(secrets))}
}

// Masked is a text without the secrets.
func (w Words) Masked(text string) string {
	if w.search == nil || text == "" {
		return text
	}
	m := masker{search: w.search}
	m.add([]byte(text))
	return string(m.next(true))
}

// Masked is one text without the secrets.
func Masked(text string, secrets []string) string { return NewWords(secrets).Masked(text) }
