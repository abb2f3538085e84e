package planfile

import (
	"fmt"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// inputRule is the form of the artifacts that a step finds in its workspace.
func inputRule() *rule {
	const hint = "write names of artifacts and folders, for example input_artifacts: {site: dist}"
	return &rule{
		about: "Artifacts of earlier steps, and the folder in which the step finds each: the same bytes, by digest.", example: `{"site": "dist"}`,
		kind: mapping, least: 1, most: 10, hint: hint, called: "the artifact", names: aName(),
		rest: &rule{
			about: "A folder, relative to the top of the repository, that the commit does not have.", example: `"dist"`,
			kind: text, words: &wording{check: aPlace, longest: 255, says: "write a folder relative to the top of the repository, for example dist"},
		},
	}
}

func inputs(v *value) (all []pipeline.InputArtifact) {
	for _, f := range v.mapping() {
		all = append(all, pipeline.InputArtifact{Artifact: f.key, Path: f.value.text()})
	}
	return all
}

// inputSense wants each input to be made by a step that is over by then, and to have a folder of its own. Which artifacts a
// buildspec makes beside the one that the file names is only known when it is read.
func (g graph) inputSense(name string, n *node, buildspecs bool, m *mistakes) {
	makes, all := map[string]string{}, []string(nil)
	for _, other := range g.order {
		if a := g.nodes[other].step.get("artifact").get("name").text(); a != "" {
			makes[a] = other
			all = append(all, a)
		}
	}
	in := n.step.get("input_artifacts").mapping()
	for i, f := range in {
		switch maker, made := makes[f.key]; {
		case !made && !buildspecs:
			m.add(f.at, meant(f.key, all, "the file's artifacts are", "write artifact: {name: …, paths: […]} in an earlier step"), "no step makes an artifact named %s", quote(f.key))
		case maker == name:
			m.add(f.at, "leave it out", "the step %s makes %s itself", quote(name), quote(f.key))
		case made && !g.comesBefore(maker, name):
			m.add(f.at, fmt.Sprintf("write needs: [%s], or move the step to a later stage", maker), "the step %s, which makes %s, may not be over yet when this one starts", quote(maker), quote(f.key))
		}
		for _, other := range in[:i] {
			if a, b := f.value.text(), other.value.text(); a != "" && b != "" && (below(a, b) || below(b, a)) {
				m.add(f.value.at, "give each artifact a folder of its own", "%s and %s lie one in the other", quote(b), quote(a))
			}
		}
	}
}
