package buildspec

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Facts are what a build is told of the world around it.
type Facts struct {
	Run       pipeline.RunID
	Step      string
	Attempt   int
	Trigger   pipeline.Trigger
	Requested time.Time
	Started   time.Time
	RepoURL   string // to clone from
	PageURL   string // the run's page
	BatchID   string // the build of a batch that it is
}

// Environ are the variables that AWS documents, as far as they mean something here. Text from outside comes as a value of
// a variable, and in no other way.
// https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html
func Environ(f Facts) []string {
	t := f.Trigger
	project := t.Repo.Name + "-" + f.Step
	id := project + ":" + uuid(string(f.Run), f.Step, f.Attempt)
	env := []string{
		"CODEBUILD_CI=true",
		"CODEBUILD_BUILD_ID=" + id,
		"CODEBUILD_BUILD_ARN=arn:aws:codebuild:conveyor:000000000000:build/" + id,
		"CODEBUILD_BUILD_IMAGE=conveyor/host",
		"CODEBUILD_BUILD_NUMBER=" + strconv.FormatInt(f.Requested.Unix(), 10),
		"CODEBUILD_BUILD_URL=" + f.PageURL,
		"CODEBUILD_PUBLIC_BUILD_URL=" + f.PageURL,
		"CODEBUILD_INITIATOR=conveyor/" + t.Actor.Login,
		"CODEBUILD_LOG_PATH=" + fmt.Sprintf("%s/%s/%d", f.Run, f.Step, f.Attempt),
		"CODEBUILD_RESOLVED_SOURCE_VERSION=" + string(t.Commit),
		"CODEBUILD_SOURCE_REPO_URL=" + f.RepoURL,
		"CODEBUILD_SOURCE_VERSION=" + string(t.Commit),
		"CODEBUILD_START_TIME=" + strconv.FormatInt(f.Started.UnixMilli(), 10),
		"CODEBUILD_WEBHOOK_ACTOR_ACCOUNT_ID=" + strconv.FormatInt(t.Actor.ID, 10),
	}
	if f.BatchID != "" {
		env = append(env, "CODEBUILD_BATCH_BUILD_IDENTIFIER="+f.BatchID)
	}
	trigger, head, event := "branch/"+t.Branch, "refs/heads/"+t.Branch, "PUSH"
	if tag, ok := strings.CutPrefix(t.Ref, "refs/tags/"); ok {
		trigger, head = "tag/"+tag, t.Ref
	}
	if t.Kind == pipeline.PullRequest {
		trigger, event = fmt.Sprintf("pr/%d", t.Pull), "PULL_REQUEST_UPDATED"
		env = append(env, "CODEBUILD_SOURCE_VERSION="+trigger)
	}
	env = append(env, "CODEBUILD_WEBHOOK_TRIGGER="+trigger, "CODEBUILD_WEBHOOK_HEAD_REF="+head, "CODEBUILD_WEBHOOK_EVENT="+event)
	if t.Base != "" {
		env = append(env, "CODEBUILD_WEBHOOK_BASE_REF=refs/heads/"+t.Base)
	}
	if t.Before.Valid() {
		env = append(env, "CODEBUILD_WEBHOOK_PREV_COMMIT="+string(t.Before))
	}
	return env
}

// uuid names an attempt in the form that scripts cut out of CODEBUILD_BUILD_ID. The same attempt has the same one.
func uuid(run, step string, attempt int) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d", run, step, attempt))
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
