package deploy

import (
	"strings"
)

// Apply folds one event into the state. It is total: an event that no longer fits changes nothing. It never changes s.
func Apply(s State, e Event) State {
	switch e := e.(type) {
	case Defined:
		return s.defined(e)
	case RepoChanged:
		return s.repoChanged(e)
	case RunsTold:
		s.ChangesTold = max(s.ChangesTold, e.Changes)
	case PullSeen:
		return s.pullSeen(e)
	case RunBegan:
		return s.runBegan(e)
	case RunEnded:
		return s.runEnded(e)
	case TimeKnown:
		return s.timeKnown(e)
	case TimeCame:
		return s.timeCame(e)
	case Asked:
		s.Asks = with(s.Asks, e.Trigger.Delivery, e)
		return s.heardOf(e.Trigger.Repo, e.Trigger.At)
	case AskDone:
		s.Asks = without(s.Asks, e.Delivery)
	case StageWanted:
		return s.stageWanted(e)
	case AdmissionSent:
		return s.admissionSent(e)
	case CancelSent:
		if r, ok := s.Runs[e.Run]; ok {
			r.Stop, r.Stopped = "", true
			s.Runs = with(s.Runs, e.Run, r)
		}
	case GroupGone:
		return s.groupGone(e)
	case ButtonsSent:
		return s.buttonsSent(e)
	case Commanded:
		return s.commanded(e)
	case ApprovalVoided:
		return s.approvalVoided(e)
	case LockEnded:
		return s.lockEnded(e)
	case FreezeEnded:
		return s.freezeEnded(e)
	case Allowed:
		return s.allowed(e)
	case Acknowledged:
		return s.onCommand(e.Command, func(p *Pending) { p.Acked = true })
	case RoleKnown:
		return s.roleKnown(e)
	case Forwarded:
		return s.onCommand(e.Command, func(p *Pending) { p.Passed, p.Say, p.Refused = true, e.Say, e.Refused })
	case Answered:
		s.Commands = without(s.Commands, e.Command)
	case CardKnown:
		return s.cardKnown(e)
	case RightLost:
		return s.rightLost(e)
	case DeployStarted:
		return s.deployStarted(e)
	case DeployFinished:
		return s.deployFinished(e)
	case GateClosed:
		return s.gateClosed(e)
	case DeployDelayed:
		return s.deployDelayed(e)
	case Expired:
		return s.expired(e)
	case Removed:
		return s.removed(e)
	case DeploymentOpening:
		return s.onPicture(e.Deployment, func(p *Picture) { p.Opening = true })
	case DeploymentTold:
		return s.deploymentTold(e)
	case PanelOpening:
		return s.onPull(e.Pull, func(p *Pull) { p.Opening = true })
	case PanelTold:
		return s.onPull(e.Pull, func(p *Pull) { p.Opening, p.Panel, p.PanelMark = false, e.ID, e.Mark })
	}
	return s
}

// defined takes the default branch's environments. What a pull request's base said counts only while nothing is known. While
// some pipeline cannot be read, nobody knows which one is meant to declare environments, so that no other one takes over.
func (s State) defined(e Defined) State {
	if s.changedAt.IsZero() {
		s.Repo = e.Repo
	}
	s.Repo.Branch = e.Repo.Branch
	if !e.Pushed && (s.pushed || s.Definitions != nil) {
		return s
	}
	s.pushed, s.Pipelines = e.Pushed, e.Pipelines
	s = s.scheduled(e)
	if e.Wrong && len(s.Definitions) > 0 && (e.Pipeline != s.Feeds || len(e.Environments) == 0) {
		return s
	}
	s.Definitions, s.Plan, s.DefinedAt, s.Feeds = e.Environments, e.Plan, e.Commit, e.Pipeline
	for name, p := range s.Places {
		base, _, _ := strings.Cut(name, "/")
		if spec, ok := s.spec(base); ok {
			p.Spec = spec
			s.Places = with(s.Places, name, p)
		}
	}
	return s
}

func (s State) onPlace(name string, change func(*Place)) State {
	if p, ok := s.Places[name]; ok {
		change(&p)
		s.Places = with(s.Places, name, p)
	}
	return s
}

func (s State) onPull(number int, change func(*Pull)) State {
	if p, ok := s.Pulls[number]; ok {
		change(&p)
		s.Pulls = with(s.Pulls, number, p)
	}
	return s
}

func (s State) onPicture(deployment string, change func(*Picture)) State {
	if p, ok := s.Pictures[deployment]; ok {
		change(&p)
		s.Pictures = with(s.Pictures, deployment, p)
	}
	return s
}

func (s State) onCommand(id string, change func(*Pending)) State {
	if p, ok := s.Commands[id]; ok {
		change(&p)
		s.Commands = with(s.Commands, id, p)
	}
	return s
}
