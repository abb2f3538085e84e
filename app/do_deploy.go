package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/deploy/target"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
)

// How often a deployment that fails without being refused is tried before it is given up.
const deployTries = 3

// How far GitHub's answers may lag behind its webhooks, when their times are equal: those are of whole seconds.
const readLag = 10 * time.Second

// deploy puts the waiting promotion in place: check everything again, say that it starts, put it there, prove it, say
// what came of it. When the server was lost in the middle, the same deployment is finished under a higher token.
func (a *App) deploy(ctx context.Context, w *repoWork, e deploy.Deploy) error {
	s := w.Latest()
	place := s.Places[e.Environment]
	if place.Flight == nil {
		started, err := a.startDeploy(ctx, w, place)
		if err != nil || !started {
			return err
		}
		s = w.Latest()
		place = s.Places[e.Environment]
	}
	flight := place.Flight
	if flight == nil || flight.ID != e.Deployment {
		return nil
	}
	given, err := a.placeSecrets(s.Repo, place)
	if err != nil {
		return fmt.Errorf("app: the secrets of %s cannot be read: %w", place.Name, err)
	}
	log, err := a.deployLog(s.Repo, flight.ID, w.Token, given.masks())
	if err != nil {
		return fmt.Errorf("app: no log for %s: %w", flight.ID, err)
	}
	finished := a.carry(ctx, s, w.Token, place, given, log)
	finished.Reason = logs.Masked(finished.Reason, given.masks())
	if err := log.Close(); err != nil {
		a.log.Warn("the log of a deployment is not complete", "env", place.Name, "err", err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // nobody knows how far it came: whoever leases the stream next finishes it
	}
	finished.At = a.now().UTC()
	a.log.Info("deployment finished", "env", place.Name, "deployment", flight.ID, "ok", finished.OK, "reason", finished.Reason)
	_, err = w.Append(ctx, finished)
	return err
}

// startDeploy checks the preconditions at the last moment, against the newest state and the clock.
func (a *App) startDeploy(ctx context.Context, w *repoWork, place deploy.Place) (bool, error) {
	waiting := place.Waiting
	if waiting == nil {
		return false, nil
	}
	closed := func(reason string) (bool, error) {
		a.log.Warn("a gate stays shut", "env", place.Name, "deployment", waiting.ID, "reason", reason)
		_, err := w.Append(ctx, deploy.GateClosed{Environment: place.Name, Promotion: waiting.ID, Reason: reason, At: a.now().UTC()})
		return false, err
	}
	if waiting.Pull != 0 {
		now, err := a.pullNow(ctx, w.State.Repo, waiting.Pull)
		if err != nil {
			return false, err
		}
		if known := w.Latest().Pulls[waiting.Pull]; now.Head != known.Head || now.Open != known.Open || now.Base != known.Base {
			if now.Updated.Before(known.Updated) || now.Updated.Equal(known.Updated) && a.now().Sub(known.Updated) < readLag {
				return false, fmt.Errorf("app: GitHub's answer about pull request %d may be older than its webhooks, so it is asked again", waiting.Pull)
			}
			now.BaseCommit = known.BaseCommit
			_, err := w.Append(ctx, now) // a push, close or other base that no webhook has told yet voids what waits, or its approvals
			return false, err
		}
	}
	if _, err := a.artifacts.Manifest(ctx, waiting.Digest); errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrCorrupt) {
		return closed("the artifact is not on hand: " + err.Error())
	} else if err != nil {
		return false, err
	}
	if why, err := a.unproven(ctx, w.Latest(), place.Spec, *waiting); err != nil {
		return false, err
	} else if why != "" {
		return closed(why)
	}
	if err := a.askAgain(ctx, w, place); err != nil {
		return false, err
	}
	at := a.now().UTC()
	s := w.Latest()
	place = s.Places[place.Name]
	if place.Waiting == nil || place.Waiting.ID != waiting.ID || s.OwesCard(place) {
		return false, nil
	}
	if gate := s.Gate(place, at); !gate.Open {
		return closed(gate.Missing)
	}
	if err := a.onRecord(ctx, w, place); err != nil {
		return false, err
	}
	s, err := w.Append(ctx, deploy.DeployStarted{
		Deployment: waiting.ID, Environment: place.Name, Commit: waiting.Commit, Digest: waiting.Digest,
		Approvals: s.Counted(place, at), At: at,
	})
	if err != nil {
		return false, err
	}
	flight := s.Places[place.Name].Flight
	return flight != nil && flight.ID == waiting.ID, nil
}

// askAgain asks for the rights of those who have approved what waits, now that it is about to start. Whoever has lost the
// right has not approved it any more. As long as GitHub does not answer, nothing starts.
func (a *App) askAgain(ctx context.Context, w *repoWork, place deploy.Place) error {
	s := w.Latest()
	for _, approval := range s.Counted(s.Places[place.Name], a.now().UTC()) {
		role, teams, err := a.rights(ctx, s, approval.Actor)
		if err != nil {
			return err
		}
		now := w.Latest().Places[place.Name]
		if now.Waiting == nil || now.Waiting.ID != place.Waiting.ID || now.StillMay(approval, role, teams) {
			continue
		}
		_, err = w.Append(ctx, deploy.RightLost{
			Environment: place.Name, Promotion: place.Waiting.ID, Actor: approval.Actor, Role: role, Teams: teams, At: a.now().UTC(),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// carry puts the flight's artifact in place and proves it. When it cannot be proven and something ran there before, that
// is put back.
func (a *App) carry(ctx context.Context, s deploy.State, token int64, place deploy.Place, given given, log io.Writer) deploy.DeployFinished {
	flight := place.Flight
	finished := deploy.DeployFinished{Deployment: flight.ID}
	for _, note := range given.notes {
		fmt.Fprintln(log, note)
	}
	if given.why != "" {
		finished.Reason = given.why
		fmt.Fprintf(log, "Failed: %s\n", finished.Reason)
		return finished
	}
	spec := place.Spec
	t, ok := a.targets[spec.Target.Kind]
	if !ok {
		finished.Reason = fmt.Sprintf("there is no target %q here", spec.Target.Kind)
		return finished
	}
	d := a.deployment(s.Repo, place, flight.ID, flight.Commit, flight.Digest, token, given, log)
	fmt.Fprintf(log, "Deploying %s (%s) to %s: %s\n", flight.Commit.Short(), flight.Digest, place.Name, flight.Why)
	err := a.put(ctx, t, d)
	if err == nil {
		err = a.verify(ctx, spec, place.URL(flight.Commit), flight.Digest, log)
	}
	if err == nil {
		finished.OK = true
		fmt.Fprintf(log, "%s runs %s.\n", place.Name, flight.Digest)
		return finished
	}
	finished.Reason = sentence(err)
	fmt.Fprintf(log, "Failed: %s\n", finished.Reason)
	if place.Live == nil || errors.Is(err, target.ErrFenced) || errors.Is(err, target.ErrRefused) || ctx.Err() != nil {
		return finished
	}
	fmt.Fprintf(log, "Putting %s back.\n", place.Live.Digest)
	back := a.deployment(s.Repo, place, flight.ID+"-back", place.Live.Commit, place.Live.Digest, token, given, log)
	if err := a.put(ctx, t, back); err != nil {
		finished.Reason += "; and " + place.Live.Digest.Short() + " could not be put back: " + sentence(err)
	} else {
		finished.Restored = true
		finished.Reason += "; " + place.Live.Digest.Short() + " is back"
	}
	return finished
}

// put tries a target a few times: networks and disks have bad moments.
func (a *App) put(ctx context.Context, t target.Target, d target.Deployment) (err error) {
	for try := range deployTries {
		if try > 0 {
			fmt.Fprintf(d.Log, "Trying again: %s\n", sentence(err))
			if waitErr := pause(ctx, time.Duration(try)*time.Second); waitErr != nil {
				return waitErr
			}
		}
		err = t.Deploy(ctx, d, a.extract)
		if err == nil || errors.Is(err, target.ErrFenced) || errors.Is(err, target.ErrRefused) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// extract lays an artifact out for a target, verified.
func (a *App) extract(ctx context.Context, digest pipeline.Digest, dir string) error {
	_, err := a.artifacts.Extract(ctx, digest, dir, artifact.Limits{})
	return err
}

func (a *App) deployment(repo pipeline.Repo, p deploy.Place, id string, c pipeline.Commit, d pipeline.Digest, token int64, given given, log io.Writer) target.Deployment {
	return target.Deployment{
		ID: fmt.Sprintf("%d/%s", repo.ID, id), Token: token, Repo: repo, Environment: p.Name, Commit: c, Digest: d,
		Settings: p.Spec.Target.Settings, Secrets: given.secrets, Log: log,
	}
}

// remove takes an environment down.
func (a *App) remove(ctx context.Context, w *repoWork, e deploy.Remove) error {
	s := w.Latest()
	place := s.Places[e.Environment]
	t, ok := a.targets[place.Spec.Target.Kind]
	if !ok {
		return fmt.Errorf("app: there is no target %q to take %s down", place.Spec.Target.Kind, e.Environment)
	}
	given, err := a.placeSecrets(s.Repo, place)
	if err == nil && given.why != "" {
		err = errors.New(given.why)
	}
	if err != nil {
		return fmt.Errorf("app: take %s down: %w", e.Environment, err)
	}
	d := a.deployment(s.Repo, place, fmt.Sprintf("%s#%d-removed", place.Name, place.Count), "", "", w.Token, given, io.Discard)
	if err := t.Remove(ctx, d); err != nil {
		return fmt.Errorf("app: take %s down: %w", e.Environment, maskError(err, given.masks()))
	}
	a.log.Info("environment removed", "env", e.Environment, "repo", s.Repo.Slug())
	_, err = w.Append(ctx, deploy.Removed{Environment: e.Environment, At: a.now().UTC()})
	return err
}

// deployLog begins a log for one try of a deployment. A log is written once, so each try has its own.
func (a *App) deployLog(repo pipeline.Repo, deployment string, token int64, masks []string) (log *logs.Writer, err error) {
	for try := 1; try < 1000; try++ {
		name := fmt.Sprintf("deploy/%d/%s/%d-%d", repo.ID, strings.ReplaceAll(deployment, "#", "/"), token, try)
		if log, err = a.logs.Writer(name, masks, stepLogLimit); !errors.Is(err, logs.ErrExists) {
			return log, err
		}
	}
	return nil, err
}

// sentence is an error as people read it: without the names of our rooms.
func sentence(err error) string {
	words := err.Error()
	for _, room := range []string{"app: ", "target: ", "static: ", "exec: ", "artifact: "} {
		words = strings.ReplaceAll(words, room, "")
	}
	return words
}

// pause waits, or returns why it should not.
func pause(ctx context.Context, d time.Duration) error {
	clock := time.NewTimer(d)
	defer clock.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-clock.C:
		return nil
	}
}
