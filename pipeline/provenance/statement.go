package provenance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

const (
	statementType = "https://in-toto.io/Statement/v1"
	predicateType = "https://slsa.dev/provenance/v1"
)

// statement is an in-toto Statement v1 with a SLSA provenance.
//
// https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md, https://slsa.dev/spec/v1.1/provenance
type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     predicate `json:"predicate"`
}

type subject struct {
	Name   string `json:"name"`
	Digest sum    `json:"digest"`
}

type sum struct {
	SHA256 string `json:"sha256"`
}

type predicate struct {
	Build struct {
		Type         string       `json:"buildType"`
		External     external     `json:"externalParameters"`
		Internal     internal     `json:"internalParameters"`
		Dependencies []dependency `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	Run struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		Metadata struct {
			Invocation string    `json:"invocationId"`
			Started    time.Time `json:"startedOn"`
			Finished   time.Time `json:"finishedOn"`
		} `json:"metadata"`
	} `json:"runDetails"`
}

// external is what someone outside of the server has chosen.
type external struct {
	Repository string `json:"repository"`
	Ref        string `json:"ref"`
	Plan       struct {
		Path   string          `json:"path"`
		Commit pipeline.Commit `json:"commit"`
		Digest sum             `json:"digest"`
	} `json:"plan"`
	Step     string `json:"step"`
	Artifact string `json:"artifact"`
}

// internal is what the server has decided or found out.
type internal struct {
	Event        pipeline.TriggerKind `json:"event"`
	RepositoryID int64                `json:"repositoryId"`
	Trust        string               `json:"trust"`
	Isolation    string               `json:"isolation"`
	Attempt      int                  `json:"attempt"`
	StepDigest   *sum                 `json:"stepDigest,omitempty"`
}

type dependency struct {
	URI    string `json:"uri"`
	Digest struct {
		Commit pipeline.Commit `json:"gitCommit,omitempty"`
		SHA256 string          `json:"sha256,omitempty"`
	} `json:"digest"`
}

// imageURI begins the name of an image.
const imageURI = "oci://"

// payload is the claim as it is signed.
func (c Claim) payload() ([]byte, error) {
	digests := []pipeline.Digest{c.Digest, c.Plan}
	if c.Image != "" || c.ImageID != "" {
		digests = append(digests, c.ImageID)
	}
	for _, d := range digests {
		if !d.Valid() {
			return nil, fmt.Errorf("provenance: %q is not a digest", d)
		}
	}
	if !c.Commit.Valid() || c.Builder == "" || c.Repository == "" || c.Run == "" || c.Trust < pipeline.Outside || c.Trust > pipeline.Approved || len(c.Files) > MaxFiles {
		return nil, errors.New("provenance: a builder, a repository, a commit, a run and a tier are needed")
	}
	s := statement{Type: statementType, PredicateType: predicateType, Subject: []subject{{c.Artifact, hexOf(c.Digest)}}}
	for _, f := range c.Files {
		s.Subject = append(s.Subject, subject{f.Path, hexOf(f.Digest)})
	}
	build, run := &s.Predicate.Build, &s.Predicate.Run
	build.Type = BuildType
	build.External = external{Repository: c.Repository, Ref: c.Ref, Step: c.Step, Artifact: c.Artifact}
	build.External.Plan.Path, build.External.Plan.Commit, build.External.Plan.Digest = c.PlanPath, c.PlanCommit, hexOf(c.Plan)
	if c.PlanPath == "" {
		build.External.Plan.Path = pipeline.PlanPath
	}
	build.Internal = internal{Event: c.Event, RepositoryID: c.RepoID, Trust: c.Trust.String(), Isolation: c.Isolation, Attempt: c.Attempt}
	if c.StepDigest != "" {
		digest := hexOf(c.StepDigest)
		build.Internal.StepDigest = &digest
	}
	build.Dependencies = make([]dependency, 1, 2)
	build.Dependencies[0].URI, build.Dependencies[0].Digest.Commit = "git+"+c.Repository+"@"+c.Ref, c.Commit
	if c.Image != "" {
		image := dependency{URI: imageURI + c.Image}
		image.Digest.SHA256 = hexOf(c.ImageID).SHA256
		build.Dependencies = append(build.Dependencies, image)
	}
	run.Builder.ID = c.Builder
	run.Metadata.Invocation, run.Metadata.Started, run.Metadata.Finished = string(c.Run), c.Started.UTC(), c.Finished.UTC()
	return json.Marshal(s)
}

// read takes a claim out of a payload that was proven. The payload must say what Sign would write, and nothing else: so
// another type of statement, of predicate or of build is refused with everything that nobody here would have read.
func read(payload []byte) (Claim, error) {
	var s statement
	if err := json.Unmarshal(payload, &s); err != nil {
		return Claim{}, errors.New("what it holds is not a statement")
	}
	build, run := s.Predicate.Build, s.Predicate.Run
	switch {
	case s.Type != statementType:
		return Claim{}, fmt.Errorf("it is a %q, and not an in-toto statement of version 1", s.Type)
	case s.PredicateType != predicateType:
		return Claim{}, fmt.Errorf("it tells %q, and not a SLSA provenance of version 1", s.PredicateType)
	case build.Type != BuildType:
		return Claim{}, fmt.Errorf("the build is a %q, and not one of Conveyor", build.Type)
	case len(s.Subject) == 0 || len(build.Dependencies) == 0:
		return Claim{}, errors.New("it names no artifact or no commit")
	}
	c := Claim{
		Artifact: s.Subject[0].Name, Digest: digestOf(s.Subject[0].Digest),
		Builder: run.Builder.ID, Repository: build.External.Repository, RepoID: build.Internal.RepositoryID, Event: build.Internal.Event,
		Ref: build.External.Ref, Commit: build.Dependencies[0].Digest.Commit, PlanCommit: build.External.Plan.Commit, Plan: digestOf(build.External.Plan.Digest),
		Trust: trustOf(build.Internal.Trust), Isolation: build.Internal.Isolation, Run: pipeline.RunID(run.Metadata.Invocation),
		Step: build.External.Step, Attempt: build.Internal.Attempt, Started: run.Metadata.Started, Finished: run.Metadata.Finished,
	}
	if path := build.External.Plan.Path; path != pipeline.PlanPath {
		c.PlanPath = path
	}
	for _, f := range s.Subject[1:] {
		c.Files = append(c.Files, File{f.Name, digestOf(f.Digest)})
	}
	if build.Internal.StepDigest != nil {
		c.StepDigest = digestOf(*build.Internal.StepDigest)
	}
	if len(build.Dependencies) > 1 {
		image := build.Dependencies[1]
		c.Image, c.ImageID = strings.TrimPrefix(image.URI, imageURI), digestOf(sum{image.Digest.SHA256})
	}
	if same, err := c.payload(); err != nil || !bytes.Equal(same, payload) {
		return Claim{}, errors.New("it is not a statement as Conveyor writes it")
	}
	return c, nil
}

func hexOf(d pipeline.Digest) sum    { return sum{strings.TrimPrefix(string(d), "sha256:")} }
func digestOf(s sum) pipeline.Digest { return pipeline.Digest("sha256:" + s.SHA256) }

// trustOf is the tier that a word names. An unknown one is none at all, and not the lowest.
func trustOf(word string) pipeline.Trust {
	for t := pipeline.Outside; t <= pipeline.Approved; t++ {
		if t.String() == word {
			return t
		}
	}
	return -1
}
