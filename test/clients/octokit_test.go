package clients

import (
	"net/http"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/test/github"
)

func TestAnAppProvesItselfAndGetsTokensWithOctokit(t *testing.T) {
	open(t, "").plays("app", nil)
}

func TestOctokitReadsPageAfterPage(t *testing.T) {
	open(t, "").plays("pages", nil)
}

func TestOctokitWritesChecksWithAnnotationsInBatches(t *testing.T) {
	open(t, "").plays("checks", nil)
}

func TestOctokitDeploys(t *testing.T) {
	open(t, "").plays("deployments", nil)
}

func TestOctokitCommentsAndReacts(t *testing.T) {
	open(t, "").plays("comments", nil)
}

func TestOctokitReadsAndWritesContents(t *testing.T) {
	w := open(t, "")
	w.plays("contents", map[string]any{"reader": w.AddUser("reader").Token})
}

func TestOctokitUnderstandsTheLimits(t *testing.T) {
	w := open(t, "")
	const at = "/repos/{owner}/{repo}"
	w.Inject(github.Fault{Route: at, Limit: github.PrimaryLimit})
	w.Inject(github.Fault{Route: at + "/branches", Limit: github.SecondaryLimit, RetryAfter: time.Minute})
	w.Inject(github.Fault{Route: at + "/commits", Limit: github.SecondaryLimit, RetryAfter: time.Minute, Status: http.StatusTooManyRequests})
	w.Inject(github.Fault{Route: at + "/pulls", Status: http.StatusBadGateway})
	w.plays("limits", nil)
}
