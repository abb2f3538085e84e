package planfile

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// maxWith is how many other repositories a workspace may have.
const maxWith = 20

// sourceRule is what a workspace holds besides the commit's own files.
func sourceRule() *rule {
	const says = "write for example source: {submodules: true}, or leave it out"
	return &rule{
		about:   "What the workspace of every step holds besides the files of the commit, and what of a pull request is tested.",
		example: `{"submodules": true, "lfs": true}`, kind: mapping, least: 1, hint: says,
		keys: []key{
			{name: "submodules", rule: &rule{
				about: "Whether the folders of submodules are filled, at the commits that the tree names, from the same GitHub. Code from outside gets none.", example: `true`,
				kind: flag, hint: "write true or false",
			}},
			{name: "lfs", rule: &rule{
				about: "Whether files in Git LFS are fetched in place of their pointers. Code from outside gets the pointers.", example: `true`,
				kind: flag, hint: "write true or false",
			}},
			{name: "pull_request", rule: &rule{
				about: "What of a pull request is tested. head, as when it is left out: its newest commit. merge: what that commit would be once it is merged into the base; its artifacts are never deployed.", example: `"merge"`,
				kind: text, words: &wording{oneOf: []string{"head", "merge"}, says: "write head or merge"},
			}},
			{name: "history", rule: &rule{
				about: "How much of the history a step sees. none, as when it is left out: the files only. full: a .git folder with all commits behind the tested one, and their tags, for git describe.", example: `"full"`,
				kind: text, words: &wording{oneOf: []string{"none", "full"}, says: "write none or full"},
			}},
			{name: "with", rule: &rule{
				about: "Other repositories that the workspace holds, each looked up once in a run.", example: `[{"repository": "octo/tools", "ref": "main", "path": "deps/tools"}]`,
				kind: list, least: 1, most: maxWith, hint: "write for example with: [{repository: octo/tools, path: deps/tools}]",
				item: &rule{
					about: "One repository and the folder that it is placed in.", example: `{"repository": "octo/tools", "path": "deps/tools"}`,
					kind: mapping, hint: "write for example {repository: octo/tools, path: deps/tools}", keys: []key{
						{name: "repository", needed: true, missing: "name it, for example repository: octo/tools", rule: &rule{
							about: "The repository on the same GitHub. A private one must belong to the App's installation, and whoever started the run must be allowed to read it.", example: `"octo/tools"`,
							kind: text, words: &wording{pattern: `^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$`, longest: 140, never: `/(\.|\.\.)$`, taken: "it is no repository", says: "write owner/name, for example octo/tools"},
						}},
						{name: "ref", rule: &rule{
							about: "A branch, a tag, or a full commit id; the default branch when left out.", example: `"main"`,
							kind: text, words: &wording{check: aRef, longest: 255, says: "write a branch, a tag or a full commit id, for example ref: main"},
						}},
						{name: "path", needed: true, missing: "say where it is placed, for example path: deps/tools", rule: &rule{
							about: "A folder, relative to the top of the repository, that the commit does not have.", example: `"deps/tools"`,
							kind: text, words: &wording{check: aPlace, longest: 255, says: "write a folder relative to the top of the repository, for example path: deps/tools"},
						}},
					},
				},
			}},
		},
	}
}

var refForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/+@-]*$`)

// aRef accepts what can only be a name of Git.
func aRef(word string) (message, hint string) {
	if !refForm.MatchString(word) || strings.Contains(word, "..") || strings.Contains(word, "@{") || strings.Contains(word, "//") || strings.HasSuffix(word, "/") {
		return fmt.Sprintf("cannot be %s", quote(word)), "write a branch, a tag or a full commit id, for example ref: main"
	}
	return "", ""
}

// aPlace accepts a plain folder below the top, which no tool gives a meaning of its own.
func aPlace(word string) (message, hint string) {
	for part := range strings.SplitSeq(word, "/") {
		if strings.EqualFold(part, ".git") || strings.HasPrefix(part, "-") {
			return fmt.Sprintf("cannot be %s", quote(word)), "write a folder relative to the top of the repository, for example path: deps/tools"
		}
	}
	if !fs.ValidPath(word) || word == "." || strings.ContainsAny(word, `\:*?[]{}"<>|,`) {
		return fmt.Sprintf("cannot be %s", quote(word)), "write a folder relative to the top of the repository, without . and .. and patterns in it"
	}
	return "", ""
}

func sourceOf(v *value) pipeline.SourceSpec {
	s := pipeline.SourceSpec{
		Submodules: isTrue(v.get("submodules")), LFS: isTrue(v.get("lfs")),
		Merge: v.get("pull_request").text() == "merge", History: v.get("history").text() == "full",
	}
	for _, w := range v.get("with").list() {
		s.With = append(s.With, pipeline.FromRef{Repository: w.get("repository").text(), Ref: w.get("ref").text(), Path: w.get("path").text()})
	}
	return s
}

// sourceSense wants each place once, and no preview of what is never deployed.
func sourceSense(root *value, m *mistakes) {
	source := root.get("source")
	with := source.get("with").list()
	for i, w := range with {
		at := w.get("path")
		for _, other := range with[:i] {
			if at.text() != "" && other.get("path").text() != "" && (below(at.text(), other.get("path").text()) || below(other.get("path").text(), at.text())) {
				m.add(at.at, "give each repository a folder of its own", "%s and %s lie one in the other", quote(other.get("path").text()), quote(at.text()))
			}
		}
	}
	if merge := source.get("pull_request"); merge.text() == "merge" {
		for _, env := range root.get("environments").mapping() {
			if perPull(env.value) {
				m.add(merge.at, "test the head, or remove on: pull_request from the environment", "the environment %s would never get anything: what is made of a merge is not deployed", quote(env.key))
			}
		}
	}
}
