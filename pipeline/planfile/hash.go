package planfile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Hash is the SHA-256, in hex, of what a plan says. How the file is laid out, its comments and the order of env and of
// settings make no difference; what a run or an environment would do does.
func Hash(p pipeline.Plan) string {
	canonical, err := json.Marshal(p) // fields in the order of their types, maps by key
	if err != nil {
		panic("planfile: a plan holds only what JSON can say: " + err.Error())
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}
