package pipeline

import (
	"encoding/json"
	"fmt"
)

// Decode reads a stored event. An unknown kind is nil without an error, so that an older reader skips what a newer
// writer added.
func Decode(kind string, data []byte) (Event, error) {
	read, ok := readers[kind]
	if !ok {
		return nil, nil
	}
	return read(data)
}

var readers = map[string]func([]byte) (Event, error){
	Requested{}.Kind():       read[Requested],
	StepStarted{}.Kind():     read[StepStarted],
	StepFinished{}.Kind():    read[StepFinished],
	StepLost{}.Kind():        read[StepLost],
	StepDecided{}.Kind():     read[StepDecided],
	StageAsked{}.Kind():      read[StageAsked],
	StageEntered{}.Kind():    read[StageEntered],
	ImageResolved{}.Kind():   read[ImageResolved],
	SourceResolved{}.Kind():  read[SourceResolved],
	CancelRequested{}.Kind(): read[CancelRequested],
	DeadlinePassed{}.Kind():  read[DeadlinePassed],
	Reported{}.Kind():        read[Reported],
	Offered{}.Kind():         read[Offered],
	Noted{}.Kind():           read[Noted],
	RepoChanged{}.Kind():     read[RepoChanged],
	CheckOpening{}.Kind():    read[CheckOpening],
	CheckTold{}.Kind():       read[CheckTold],
	Uploaded{}.Kind():        read[Uploaded],
}

func read[E Event](data []byte) (Event, error) {
	var e E
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("pipeline: read a stored %q event: %w", e.Kind(), err)
	}
	return e, nil
}
