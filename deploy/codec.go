package deploy

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
	GroupGone{}.Kind():         read[GroupGone],
	ButtonsSent{}.Kind():       read[ButtonsSent],
	PullSeen{}.Kind():          read[PullSeen],
	Commanded{}.Kind():         read[Commanded],
	RoleKnown{}.Kind():         read[RoleKnown],
	ApprovalVoided{}.Kind():    read[ApprovalVoided],
	LockEnded{}.Kind():         read[LockEnded],
	FreezeEnded{}.Kind():       read[FreezeEnded],
	Allowed{}.Kind():           read[Allowed],
	Acknowledged{}.Kind():      read[Acknowledged],
	Forwarded{}.Kind():         read[Forwarded],
	Answered{}.Kind():          read[Answered],
	Defined{}.Kind():           read[Defined],
	RunBegan{}.Kind():          read[RunBegan],
	RunEnded{}.Kind():          read[RunEnded],
	StageWanted{}.Kind():       read[StageWanted],
	AdmissionSent{}.Kind():     read[AdmissionSent],
	TimeKnown{}.Kind():         read[TimeKnown],
	TimeCame{}.Kind():          read[TimeCame],
	CancelSent{}.Kind():        read[CancelSent],
	CardKnown{}.Kind():         read[CardKnown],
	RightLost{}.Kind():         read[RightLost],
	DeployStarted{}.Kind():     read[DeployStarted],
	DeployFinished{}.Kind():    read[DeployFinished],
	GateClosed{}.Kind():        read[GateClosed],
	DeployDelayed{}.Kind():     read[DeployDelayed],
	Expired{}.Kind():           read[Expired],
	Removed{}.Kind():           read[Removed],
	DeploymentOpening{}.Kind(): read[DeploymentOpening],
	DeploymentTold{}.Kind():    read[DeploymentTold],
	PanelOpening{}.Kind():      read[PanelOpening],
	PanelTold{}.Kind():         read[PanelTold],
	RepoChanged{}.Kind():       read[RepoChanged],
	RunsTold{}.Kind():          read[RunsTold],
	Asked{}.Kind():             read[Asked],
	AskDone{}.Kind():           read[AskDone],
}

func read[E Event](data []byte) (Event, error) {
	var e E
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("deploy: read a stored %q event: %w", e.Kind(), err)
	}
	return e, nil
}
