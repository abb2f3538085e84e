package logs

// Masked is a text as a log with these secrets would show it: for the few words of a step that go elsewhere.
func Masked(text string, secrets []string) string {
	if len(secrets) == 0 || text == "" {
		return text
	}
	m := newMasker(secrets)
	m.add([]byte(text))
	return string(m.next(true))
}
