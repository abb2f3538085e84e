// Package ledger keeps who let what in: a file of signed lines, each of which names the line before it. Anyone who has the
// public key can prove it, without this server.
//
// A line is a DSSE envelope around an in-toto statement about the artifact; docs/ledger.md describes it for those who
// read it elsewhere. The lines are derived from the journal, each named by the record that it comes from, so that nothing
// is lost or told twice when the server ends in the middle. The package never decides anything, and reads no journal.
// Start reading at Ledger (file.go), then Verify.
package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/conveyor-ci/conveyor/deploy"
	"github.com/conveyor-ci/conveyor/pipeline"
)

const (
	statementType = "https://in-toto.io/Statement/v1"
	predicateBase = "https://github.com/conveyor-ci/conveyor/docs/ledger/"
)

// statement is an in-toto statement.
//
// https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     Line      `json:"predicate"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Line is what one line of the ledger says.
type Line struct {
	Sequence   int           `json:"sequence"` // 1 for the first line
	Previous   string        `json:"previous"` // SHA-256 of the line before, in hex; zeros for the first
	Stream     string        `json:"stream"`   // the journal's stream, record and the part of it that this line tells
	Version    int64         `json:"version"`
	Part       int           `json:"part"`
	Repository pipeline.Repo `json:"repository"`
	deploy.Entry
}

// zeros stands for the line before the first one.
var zeros = strings.Repeat("0", sha256.Size*2)

func hashOf(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// payload is the statement that a line is signed as.
func (l Line) payload() ([]byte, error) {
	data, err := json.Marshal(statement{statementType, []subject{l.subject()}, predicateBase + l.What + "/v1", l})
	if err != nil {
		return nil, fmt.Errorf("ledger: write a line: %w", err)
	}
	return data, nil
}

// subject is what the line is about: the artifact, else the commit of the run that a person
// started, else the comment that asked for something.
func (l Line) subject() subject {
	if sum, ok := strings.CutPrefix(string(l.Digest), "sha256:"); ok {
		return subject{"artifact", map[string]string{"sha256": sum}}
	}
	if l.Run != "" {
		return subject{"commit", map[string]string{"gitCommit": string(l.Commit)}}
	}
	sum := ""
	if l.Command != nil {
		if sum = l.Command.Body; sum == "" {
			sum = hashOf([]byte(l.Command.Line))
		}
	}
	return subject{"comment", map[string]string{"sha256": sum}}
}

// read takes a line out of a payload that was proven. Fields that a newer version has added are skipped.
func read(payload []byte) (Line, error) {
	var s statement
	if err := json.Unmarshal(payload, &s); err != nil || s.Type != statementType || s.PredicateType != predicateBase+s.Predicate.What+"/v1" || len(s.Subject) != 1 {
		return Line{}, errors.New("what it holds is no statement of Conveyor")
	}
	return s.Predicate, nil
}
