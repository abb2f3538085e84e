package logs

// Mask is what stands in a log where a secret was.
const Mask = "***"

// masker replaces every secret form in a stream. Forms that overlap or touch become one mask, so that not even the
// rest of a second secret is seen. It holds back only what may be the beginning of a form.
type masker struct {
	search  *search
	held    []byte // what is not decided yet
	gone    int    // how many bytes at held's start went out with the last call of next
	covered int    // how many bytes at held's start belong to a form that began before it
	masked  bool   // whether the last thing that went out was a mask
	spans   []span
	out     []byte
}

func newMasker(secrets []string) *masker { return &masker{search: newSearch(forms(secrets))} }

// add takes the stream's next bytes.
func (m *masker) add(p []byte) {
	m.forget()
	m.held = append(m.held, p...)
}

func (m *masker) forget() {
	m.held = m.held[:copy(m.held, m.held[m.gone:])]
	m.gone = 0
}

// next returns what is decided by now, valid until the next call of any method; at the stream's end everything.
func (m *masker) next(end bool) []byte {
	m.forget()
	text := m.held
	safe := len(text)
	if !end {
		safe = m.search.open(text)
	}
	m.spans = m.search.find(text, m.spans[:0])

	at, masked := m.covered, m.masked
	if len(m.spans) == 0 && at == 0 { // nearly always: nothing is copied
		m.masked = masked && safe == 0
		m.gone = safe
		return text[:safe]
	}
	m.out = m.out[:0]
	for _, f := range m.spans {
		if f.start >= safe {
			break
		}
		if f.start > at || !masked {
			m.out = append(append(m.out, text[at:max(at, f.start)]...), Mask...)
			masked = true
		}
		at = max(at, f.end)
	}
	if at < safe {
		m.out = append(m.out, text[at:safe]...)
		at, masked = safe, false
	}
	m.covered, m.masked = at-safe, masked
	m.gone = safe
	return m.out
}
