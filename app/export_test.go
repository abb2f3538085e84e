package app

import (
	"context"
	"time"

	"github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/history"
)

// Examine is the part of the doctor that asks GitHub, without its patience.
func Examine(ctx context.Context, c Config, now func() time.Time) []Finding {
	return ExamineSome(ctx, c, now, MostLooked, func(int, int) {})
}

// ExamineSome is Examine that looks into so many repositories at most.
func ExamineSome(ctx context.Context, c Config, now func() time.Time, most int, progress func(looked, of int)) []Finding {
	g, err := github.New(github.Config{APIURL: c.GitHubAPIURL, WebURL: c.GitHubURL, AppID: c.AppID, PrivateKey: []byte(c.PrivateKey.Reveal()), Now: now})
	if err != nil {
		return []Finding{{Name: "App", Level: Failed, Says: err.Error()}}
	}
	return (&doctor{config: c, github: g, now: now, probe: &probe{}, most: most, beyond: "Elsewhere.", progress: progress}).examine(ctx)
}

// The pieces that need no server to be tried.
var (
	ReportSummary = reportSummary
	Failures      = failures
	FlakyTests    = flakyOf
	ManifestFor   = manifestFor
	ProposedName  = proposedName
	FindingsTable = findingsTable
	ClockFinding  = clockFinding

	LedgerKeyFinding = ledgerKeyFinding
)

// flakyOf is flaky with one branch.
func flakyOf(ended map[string]history.Outcome, branch string, b history.Branch) []pipeline.Flaky {
	return flaky(ended, branchOf{b, history.Key{Branch: "heads/" + branch}})
}

// LayBeside links the files of a buildspec's artifact into a folder of their own.
var LayBeside = layBeside

// Inside is a path of a buildspec, from the top of the workspace.
var Inside = inside
