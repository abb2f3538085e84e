package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/logs"
	"github.com/conveyor-ci/conveyor/pipeline/secret"
	"github.com/conveyor-ci/conveyor/pipeline/secret/age"
)

// secrets is where they are looked up: a store, or a person's own environment.
type secrets interface {
	Find(scope age.Scope, name string) (secret.Value, error)
}

// Secrets is the store of secrets that a server with this configuration uses.
func Secrets(c Config) *age.Store {
	return age.New(filepath.Join(c.DataDir, "secrets"), c.SecretsKeyFile, time.Now)
}

// SecretFit says what is wrong with a secret's value: what cannot be masked in a log is not kept.
func SecretFit(value string) error {
	if err := logs.Validate([]string{value}); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "logs: secret 1 "))
	}
	return nil
}

// FindRepository asks GitHub for the number of a repository in which the App is installed.
func FindRepository(ctx context.Context, c Config, slug string) (pipeline.Repo, error) {
	a := &App{config: c, meter: newMeter(), clock: time.Now}
	if err := a.openGitHub(ctx); err != nil {
		return pipeline.Repo{}, err
	}
	return a.findRepository(ctx, slug)
}

// findRepository asks GitHub which repository has a name now.
func (a *App) findRepository(ctx context.Context, slug string) (pipeline.Repo, error) {
	installed, err := a.github.Installed(ctx)
	if err != nil {
		return pipeline.Repo{}, err
	}
	for _, id := range installed {
		found, err := a.github.Installation(id).Repos(github.As(ctx, github.Reply))
		if err != nil {
			return pipeline.Repo{}, err
		}
		for _, f := range found {
			if strings.EqualFold(f.Repo.Slug(), slug) {
				return f.Repo, nil
			}
		}
	}
	return pipeline.Repo{}, fmt.Errorf("app: the App is not installed in %s; install it there, or look whether the name is right", slug)
}

// given is what a step or a deployment gets: the secrets, words for its log, and why it cannot run, when it cannot.
type given struct {
	secrets []secret.Given
	notes   []string
	why     string
}

// masks are what its log must not show.
func (g given) masks() []string { return secret.Reveal(g.secrets) }

// stepSecrets are the secrets of a step. Code of people who may not write gets none, whatever the plan says.
func (a *App) stepSecrets(s pipeline.State, spec pipeline.Step) (given, error) {
	repo := s.Trigger.Repo
	return gather(spec.Secrets, func(name string) (secret.Value, string, error) {
		if s.Trust < pipeline.Writer {
			return secret.Value{}, "code from outside gets no secrets", nil
		}
		value, err := a.secrets.Find(age.Scope{Repository: repo.ID}, name)
		var own notInEnvironment
		if errors.As(err, &own) {
			return value, own.Error(), nil
		}
		if errors.Is(err, age.ErrUnknown) {
			return value, fmt.Sprintf("there is none of this name for the builds of %s: the operator sets it with `conveyor secrets set %s %s`", repo.Slug(), repo.Slug(), name), nil
		}
		return value, "", err
	})
}

// placeSecrets are the secrets of a deployment that may begin, or has begun: those of the environment, else the
// repository's. It is not asked before the gate is open.
func (a *App) placeSecrets(repo pipeline.Repo, place deploy.Place) (given, error) {
	env := place.Spec.Name
	return gather(place.Spec.Secrets, func(name string) (value secret.Value, why string, err error) {
		for _, scope := range []age.Scope{{Repository: repo.ID, Environment: env}, {Repository: repo.ID}} {
			if value, err = a.secrets.Find(scope, name); !errors.Is(err, age.ErrUnknown) {
				return value, "", err
			}
		}
		return value, fmt.Sprintf("there is none of this name for %s of %s: the operator sets it with `conveyor secrets set %s %s --environment %s`", env, repo.Slug(), repo.Slug(), name, env), nil
	})
}

// gather looks each wanted secret up. What cannot be had is left out when it is optional, and is the reason to give up
// when it is not.
func gather(uses []pipeline.SecretUse, find func(name string) (value secret.Value, why string, err error)) (g given, err error) {
	for _, use := range uses {
		value, why, err := find(use.From)
		switch {
		case err != nil:
			return given{}, err
		case why != "" && use.Optional:
			g.notes = append(g.notes, fmt.Sprintf("The secret %s is left out: %s.", use.From, why))
		case why != "":
			return given{why: fmt.Sprintf("it needs the secret %s, and %s; or write `optional: true` to go on without it", use.From, why)}, nil
		default:
			g.secrets = append(g.secrets, secret.Given{Name: use.Name, Value: value, Env: use.Env})
		}
	}
	return g, nil
}

// maskError is an error whose words are masked. It is for people only: nobody decides on it.
func maskError(err error, masks []string) error {
	if err == nil || len(masks) == 0 {
		return err
	}
	return errors.New(logs.Masked(err.Error(), masks))
}
