package planfile

// rule says what may stand at one place of the file. The parser checks by it and the JSON Schema is made of it, so that
// the two cannot disagree.
type rule struct {
	about   string // what it means, for the schema
	example string // a good value, as JSON (which is YAML, too)

	kind   kind     // text, number, flag, list or mapping
	or     *rule    // a second form of another kind, for example a text instead of a mapping
	scalar bool     // numbers and flags stand for the text as which they are written
	words  *wording // of a text
	least  int      // of a number; of a list's items or a mapping's keys: how many there must be
	most   int      // the same, 0 when there is no bound
	item   *rule    // of a list
	keys   []key    // of a mapping
	rest   *rule    // of a mapping that also takes keys that are not known beforehand
	names  *wording // of those keys
	called string   // what one of those keys is: "environment"
	either []string // of a mapping: one of these keys must be there, and only one
	lacks  string   // what to do when none of them is
	later  []later  // keys that only later versions understand
	hint   string   // what to write when the kind is wrong
}

// key is one key of a mapping.
type key struct {
	name    string
	rule    *rule
	needed  bool
	missing string // what to do when a needed key is missing
}

// later is a key that the next versions bring.
type later struct{ name, instead string }

func (r *rule) key(name string) *rule {
	for _, k := range r.keys {
		if k.name == name {
			return k.rule
		}
	}
	return nil
}

// form is the rule's form for a kind of value, nil when there is none.
func (r *rule) form(k kind) *rule {
	for f := r; f != nil; f = f.or {
		if f.kind == k || f.scalar && (k == number || k == flag) {
			return f
		}
	}
	return nil
}
