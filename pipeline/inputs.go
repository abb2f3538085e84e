package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// StepDigest names all that goes into a step: what the plan says of it, the files that it is given, and the images that it
// and its services run in, by digest: images has them by name. So the same step on the same files has the same name on every
// machine. tree is Git's id of the files; parts are what it has besides them. A step without an image stands for the tools of the machine, of which nobody knows whether they are the same elsewhere.
//
// What only names the run is not in it: the commit, the branch, the attempt. Neither is when the step is run, and what
// follows from its end.
func StepDigest(step Step, tree string, images map[string]Digest, parts ...Part) Digest {
	step.Needs, step.AtOnce, step.If, step.After, step.Retries, step.MayFail = nil, false, "", false, 0, false
	var beside map[string]Digest
	for _, v := range step.Services {
		if beside == nil {
			beside = map[string]Digest{}
		}
		beside[v.Image] = images[v.Image]
	}
	type part struct {
		Path    string `json:"path"`
		Repo    int64  `json:"repo"` // by number: names change hands
		Commit  Commit `json:"commit"`
		LFS     bool   `json:"lfs,omitempty"`
		History bool   `json:"history,omitempty"`
	}
	var with []part
	for _, p := range parts {
		with = append(with, part{p.Path, p.Repo.ID, p.Commit, p.LFS, p.History})
	}
	said, err := json.Marshal(struct {
		Form   string            `json:"form"` // of this very list; another form has another name
		Step   Step              `json:"step"`
		Tree   string            `json:"tree"`
		Image  Digest            `json:"image"`
		Beside map[string]Digest `json:"services,omitempty"`
		Parts  []part            `json:"parts,omitempty"`
	}{"step digest 1", step, tree, images[step.Image], beside, with})
	if err != nil {
		panic("pipeline: a step holds only what JSON can say: " + err.Error())
	}
	sum := sha256.Sum256(said)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}
