package app

import (
	"fmt"
	"os"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline/secret"
	"github.com/conveyor-ci/conveyor/pipeline/secret/age"
)

// ownEnvironment is where a run on a person's own machine gets its secrets: from that person's variables, of which a step is
// given those that it names and no others.
type ownEnvironment struct{}

// Find is the value of the variable that stands for a secret: NPM_TOKEN for npm-token.
func (ownEnvironment) Find(_ age.Scope, name string) (secret.Value, error) {
	value := os.Getenv(variableFor(name))
	if value == "" {
		return secret.Value{}, notInEnvironment{name: name}
	}
	if err := SecretFit(value); err != nil {
		return secret.Value{}, notInEnvironment{name: name, unfit: err.Error()}
	}
	return secret.New(value), nil
}

func variableFor(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

// notInEnvironment is what a person can mend.
type notInEnvironment struct{ name, unfit string }

func (e notInEnvironment) Error() string {
	if e.unfit != "" {
		return fmt.Sprintf("your variable %s cannot be used: it %s", variableFor(e.name), e.unfit)
	}
	return fmt.Sprintf("on your own machine it is your variable %s, which is not set", variableFor(e.name))
}
