package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Deployment is one attempt to put a commit's artifact into an environment, as GitHub shows it. It never changes; its
// State does.
type Deployment struct {
	ID      int64 // GitHub's number; 0 while it is not known
	Unknown bool  // an earlier create may have been done without our hearing of it: look first

	Name        string // our own name for it, planted in the payload
	Run         string // planted, too, so that others can follow what was deployed
	Approval    string
	Digest      pipeline.Digest
	Commit      pipeline.Commit
	Environment string
	Description string
	Production  bool
	Transient   bool // a preview, which will be gone one day
}

// payload is what we plant. Its keys are stored at GitHub, and never renamed.
type payload struct {
	Deployment string          `json:"deployment"`
	Digest     pipeline.Digest `json:"digest,omitempty"`
	Run        string          `json:"run,omitempty"`
	Approval   string          `json:"approval,omitempty"`
}

// UpsertDeployment gives the number of the deployment at GitHub: the one already known, one that an earlier try made
// (when Unknown), or a new one. It may be repeated; after an *Unavailable that says Unknown, set Unknown.
//
// https://docs.github.com/rest/deployments/deployments
func (in *Installation) UpsertDeployment(ctx context.Context, repo pipeline.Repo, d Deployment) (int64, error) {
	if err := errors.Join(checkRepo(repo), checkCommit(d.Commit), d.check()); err != nil {
		return d.ID, err
	}
	if d.ID != 0 {
		return d.ID, nil
	}
	ctx = withRoute(ctx, "deployments")
	to := fmt.Sprintf("of %s@%s to %s", repo.Slug(), d.Commit.Short(), d.Environment)
	if d.Unknown {
		id, err := in.findDeployment(ctx, repo, d)
		if err != nil {
			return 0, said(ctx, err, false, "look for deployment", to)
		}
		if id != 0 {
			return id, nil
		}
	}
	made, _, err := in.client.Repositories.CreateDeployment(ctx, repo.Owner, repo.Name, &gh.DeploymentRequest{
		// GitHub's defaults would merge the base branch into ours, and refuse while any check is not green, our own
		// running one included. What may be deployed is decided before we come here.
		Ref: gh.String(string(d.Commit)), AutoMerge: gh.Bool(false), RequiredContexts: &[]string{},
		Environment: &d.Environment, Description: optional(cutRunes(d.Description, 140)),
		ProductionEnvironment: &d.Production, TransientEnvironment: &d.Transient,
		Payload: payload{Deployment: d.Name, Digest: d.Digest, Run: d.Run, Approval: d.Approval},
	})
	if err == nil && made.GetID() == 0 {
		err = errors.New("the answer names no deployment")
	}
	return made.GetID(), said(ctx, deploymentRefused(err), true, "create deployment", to)
}

func (d Deployment) check() error {
	if d.Name == "" || d.Environment == "" || len(d.Environment) > 255 || d.Environment != visible(d.Environment) {
		return fmt.Errorf("github: a deployment needs a name, and an environment of at most 255 characters, not %q", d.Environment)
	}
	return nil
}

// deploymentRefused says in a sentence what GitHub's special answers mean.
func deploymentRefused(err error) error {
	var (
		accepted *gh.AcceptedError
		answer   *gh.ErrorResponse
	)
	switch {
	case errors.As(err, &accepted):
		return &Refused{Status: http.StatusAccepted, Message: "GitHub merged a branch instead of creating the deployment: " +
			tidy(messageOf(accepted.Raw)) + "; the merged commit is another one and has to be built first"}
	case errors.As(err, &answer) && answer.Response.StatusCode == http.StatusConflict:
		return &Refused{Status: http.StatusConflict, Message: "the commit conflicts with what GitHub demands of it: " + tidy(answer.Message) +
			"; bring the branch up to date, or make its checks pass, and deploy the new commit"}
	}
	return err
}

// findDeployment looks for the newest deployment that this App made under our name.
func (in *Installation) findDeployment(ctx context.Context, repo pipeline.Repo, d Deployment) (id int64, err error) {
	self, err := in.Self(ctx)
	if err != nil {
		return 0, err
	}
	o := &gh.DeploymentsListOptions{SHA: string(d.Commit), Environment: d.Environment, ListOptions: gh.ListOptions{PerPage: 100}}
	for o.Page = 1; o.Page != 0; {
		list, resp, err := in.client.Repositories.ListDeployments(ctx, repo.Owner, repo.Name, o)
		if err != nil {
			return 0, err
		}
		for _, found := range list {
			// Anyone who may deploy could plant our name: only what we created ourselves counts.
			if found.GetCreator().GetID() == self.UserID && planted(found.Payload).Deployment == d.Name {
				id = max(id, found.GetID())
			}
		}
		o.Page = resp.NextPage
	}
	return id, nil
}

// planted reads a payload, which GitHub gives back as an object or as text that holds one.
func planted(raw json.RawMessage) (p payload) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	_ = json.Unmarshal(raw, &p) // a payload of another form is not ours
	return p
}

// State is where a deployment stands.
type State struct {
	Unknown        bool   // an earlier write may have been done without our hearing of it: look first
	State          string // queued, pending, in_progress, success, failure, error or inactive
	Description    string // at most 140 characters are shown
	LogURL         string
	EnvironmentURL string
	AutoInactive   bool // earlier successes in the environment become inactive; GitHub leaves production and transient ones alone
}

// SetDeploymentState adds a status to the deployment. GitHub keeps them all; when Unknown, the last one is read first and
// nothing is sent when it says the same. It may be repeated; after an *Unavailable that says Unknown, set Unknown.
//
// https://docs.github.com/rest/deployments/statuses
func (in *Installation) SetDeploymentState(ctx context.Context, repo pipeline.Repo, id int64, s State) error {
	if err := errors.Join(checkRepo(repo), checkLink(s.LogURL), checkLink(s.EnvironmentURL)); err != nil {
		return err
	}
	if !slices.Contains(strings.Fields("queued pending in_progress success failure error inactive"), s.State) || id <= 0 {
		return fmt.Errorf("github: %q is no state for deployment %d", s.State, id)
	}
	ctx = withRoute(ctx, "deployments")
	to := fmt.Sprintf("%d of %s", id, repo.Slug())
	description := cutRunes(s.Description, 140)
	if s.Unknown {
		last, err := in.lastState(ctx, repo, id)
		if err != nil {
			return said(ctx, err, false, "read the state of deployment", to)
		}
		if last.GetState() == s.State && last.GetDescription() == description && last.GetLogURL() == s.LogURL && last.GetEnvironmentURL() == s.EnvironmentURL {
			return nil
		}
	}
	_, _, err := in.client.Repositories.CreateDeploymentStatus(ctx, repo.Owner, repo.Name, id, &gh.DeploymentStatusRequest{
		State: &s.State, Description: &description, LogURL: optional(s.LogURL), EnvironmentURL: optional(s.EnvironmentURL), AutoInactive: &s.AutoInactive,
	})
	return said(ctx, err, true, "tell the state of deployment", to)
}

// lastState is the newest status; the zero one when there is none.
func (in *Installation) lastState(ctx context.Context, repo pipeline.Repo, id int64) (*gh.DeploymentStatus, error) {
	last := &gh.DeploymentStatus{}
	o := &gh.ListOptions{PerPage: 100}
	for o.Page = 1; o.Page != 0; {
		list, resp, err := in.client.Repositories.ListDeploymentStatuses(ctx, repo.Owner, repo.Name, id, o)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			if s.GetID() > last.GetID() {
				last = s
			}
		}
		o.Page = resp.NextPage
	}
	return last, nil
}
