package deploy

import (
	"slices"
	"testing"
)

// GitHub shows the deployment that was created last: one that was made before it must not be created after it.
func TestGitHubHearsOfDeploymentsOfOnePlaceInTheirOrder(t *testing.T) {
	t.Parallel()
	s := State{Pictures: map[string]Picture{
		"staging#9":    {Deployment: "staging#9", Environment: "staging", State: "inactive", Told: "success", ID: 1},
		"staging#10":   {Deployment: "staging#10", Environment: "staging", State: "inactive"},
		"staging#11":   {Deployment: "staging#11", Environment: "staging", State: "success"},
		"production#2": {Deployment: "production#2", Environment: "production", State: "in_progress"},
	}}
	owed := func() (names []string) {
		for _, e := range s.owedToGitHub() {
			names = append(names, e.Name())
		}
		return names
	}
	if got, want := owed(), []string{"tell/production#2/in_progress", "tell/staging#10/inactive", "tell/staging#9/inactive"}; !slices.Equal(got, want) {
		t.Errorf("owed are %q, want %q", got, want)
	}
	s = s.deploymentTold(DeploymentTold{Deployment: "staging#10", State: "inactive", ID: 2})
	if got, want := owed(), []string{"tell/production#2/in_progress", "tell/staging#11/success", "tell/staging#9/inactive"}; !slices.Equal(got, want) {
		t.Errorf("when it has heard of the older one, owed are %q, want %q", got, want)
	}
}
