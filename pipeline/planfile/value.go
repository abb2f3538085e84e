package planfile

// kind is what a value looks like in YAML.
type kind int

const (
	nothing kind = iota
	text
	number
	flag
	list
	mapping
)

func (k kind) String() string {
	return [...]string{"empty", "text", "a number", "true or false", "a list", "a mapping"}[k]
}

// value is a piece of the file with its place. All methods accept nil and the wrong kind, and then answer with nothing,
// so that a file with mistakes can be read to its end.
type value struct {
	at     place
	kind   kind
	word   string // of text: what it says; of numbers and flags: as written
	inset  int    // of text: the quote before it
	items  []*value
	fields []*field
}

type field struct {
	at    place
	key   string
	value *value
}

// get is the value of a key, nil when there is none.
func (v *value) get(key string) *value {
	if f := v.field(key); f != nil {
		return f.value
	}
	return nil
}

func (v *value) field(key string) *field {
	if v == nil {
		return nil
	}
	for _, f := range v.fields {
		if f.key == key {
			return f
		}
	}
	return nil
}

// text is what a text says.
func (v *value) text() string {
	if v == nil || v.kind != text {
		return ""
	}
	return v.word
}

// list is the items of a list.
func (v *value) list() []*value {
	if v == nil {
		return nil
	}
	return v.items
}

// mapping is the fields of a mapping, as written.
func (v *value) mapping() []*field {
	if v == nil {
		return nil
	}
	return v.fields
}

func (v *value) is(k kind) bool { return v != nil && v.kind == k }
