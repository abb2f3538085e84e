package pipeline

import (
	"encoding/json"
	"fmt"
)

// Decode reads a stored event. An unknown kind is nil without an error, so that an older reader skips what a newer
// writer added.
func Decode(kind string, data []byte) (Event, error) {
	switch kind {
	case "requested":
		return decode[Requested](kind, data)
	case "step_started":
		return decode[StepStarted](kind, data)
	case "step_finished":
		return decode[StepFinished](kind, data)
	case "step_lost":
		return decode[StepLost](kind, data)
	case "cancel_requested":
		return decode[CancelRequested](kind, data)
	case "reported":
		return decode[Reported](kind, data)
	case "check_opening":
		return decode[CheckOpening](kind, data)
	case "check_told":
		return decode[CheckTold](kind, data)
	}
	return nil, nil
}

func decode[E Event](kind string, data []byte) (Event, error) {
	var e E
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("pipeline: read a stored %q event: %w", kind, err)
	}
	return e, nil
}
