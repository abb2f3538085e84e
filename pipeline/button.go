package pipeline

// Button is something that a person can ask for at a check, with one press. GitHub tells which check it was pressed at,
// and so of which commit.
type Button struct {
	Label       string `json:"label"`       // GitHub shows 20 characters
	Description string `json:"description"` // GitHub shows 40 characters
	Identifier  string `json:"identifier"`  // what a press sends, at most 20 bytes
}

// CancelButton ends the run of a check that is not over.
const CancelButton = "cancel"

// pressable gives a check its buttons: while it is not over, one that ends the run; when it is the last of a run that is
// over, those that the repository's stream offers.
func (s State) pressable(stage int, c Check) Check {
	switch {
	case c.Status != Completed:
		c.Buttons = []Button{{Label: "Cancel", Description: "End this run, with all its checks", Identifier: CancelButton}}
	case stage == len(s.Plan.Stages)-1 && s.Over():
		c.Buttons = s.Buttons
	}
	return c
}

// note is the newest answer to what was asked for at a check, and how many there were.
type note struct {
	text  string
	count int
}

func (s State) noted(e Noted) State {
	names := []string{e.Check}
	if e.Check == "" {
		names = nil
		for _, c := range Checks(s) {
			names = append(names, c.Name)
		}
	}
	notes := make(map[string]note, len(s.notes)+len(names))
	for k, v := range s.notes {
		notes[k] = v
	}
	for _, name := range names {
		notes[name] = note{e.Note, notes[name].count + 1}
	}
	s.notes = notes
	return s
}

func (s State) answered(c Check) Check {
	n := s.notes[c.Name]
	c.Note, c.notes = n.text, n.count
	return c
}
