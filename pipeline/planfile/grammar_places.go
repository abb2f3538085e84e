package planfile

import (
	"fmt"
	"strings"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
)

func environmentsRule() *rule {
	return &rule{
		about:   "Where artifacts are deployed to, in promotion order: what comes first in the file comes first in the world.",
		example: `{"staging": {"on": {"branch": "main"}, "artifact": "site", "target": {"static": "/srv/staging"}}}`,
		kind:    mapping, least: 1, most: maxEnvironments, hint: "write a name and its settings, for example staging: {on: {branch: main}, artifact: site, target: {static: /srv/staging}}",
		called: "the environment", names: aName(), rest: environmentRule(),
	}
}

func environmentRule() *rule {
	return &rule{
		about: "One environment, or with on: pull_request one for each pull request.", example: `{"after": "staging", "artifact": "site", "target": {"static": "/srv/shop"}, "approve": {"by": ["maintain"]}}`,
		kind: mapping, hint: "write its settings below: on or after, artifact, target",
		later: laterKeys("strategy", "window", "needs", "if", "matrix", "services", "cache", "image"),
		keys: []key{
			{name: "on", rule: &rule{
				about: "What brings an artifact here by itself: each pull request, or each push to a branch.", example: `{"branch": "main"}`,
				kind: text, hint: "write on: pull_request or on: {branch: main}",
				words: &wording{oneOf: []string{"pull_request"}, says: "write on: pull_request or on: {branch: main}"},
				or: &rule{kind: mapping, hint: "write on: {branch: main}", keys: []key{
					{name: "branch", needed: true, missing: "write on: {branch: main}", rule: &rule{
						about: "The pushed branch, or a glob of branches with *, ? and [abc].", example: `"main"`,
						kind: text, words: &wording{check: branchPattern, longest: 255, says: "write a branch, for example main"},
					}},
				}},
			}},
			{name: "after", rule: &rule{
				about: "The environment that must run the very same artifact first. It stands earlier in the file.", example: `"staging"`, kind: text, words: aName(),
			}},
			{name: "artifact", needed: true, missing: "name the artifact that is deployed, for example artifact: site", rule: &rule{
				about: "The artifact that is deployed, as a step has named it.", example: `"site"`, kind: text, words: aName(),
			}},
			{name: "url", rule: &rule{
				about: "The environment's address. {{ pr }}, {{ sha }} and {{ env }} stand for the pull request's number, the commit and the environment's name.", example: `"https://staging.example.com"`,
				kind: text, words: &wording{pattern: `^https?://\S`, check: addressAlone, longest: 1000, says: "write an address that starts with https:// or http://"},
			}},
			{name: "expires", rule: &rule{
				about: "How long an environment of a pull request lives after its last deployment.", example: `"7d"`, kind: text, words: between(time.Minute, 365*24*time.Hour),
			}},
			{name: "target", needed: true, missing: "say where the artifact goes, for example target: {static: /srv/staging}", rule: targetRule()},
			{name: "verify", rule: &rule{
				about: "How a deployment is proven before it counts.", example: `{"http": "/up", "contains": "ok"}`,
				kind: mapping, hint: "write for example verify: {http: /up}", keys: []key{
					{name: "http", needed: true, missing: "say which path is asked, for example http: /up", rule: &rule{
						about: "A path below url that must answer with a status of 200 to 399.", example: `"/up"`,
						kind: text, words: &wording{pattern: `^/([^/\\\s][^\\\s]*)?$`, says: "write a path that starts with one /, for example /up"},
					}},
					{name: "contains", rule: &rule{
						about: "Text that the answer must hold.", example: `"ok"`, kind: text, words: &wording{says: "write the text to look for"},
					}},
				},
			}},
			{name: "approve", rule: approveRule()},
			{name: "secrets", rule: secretsRule("Secrets that the target is given, once the deployment may begin: those of this environment, else the repository's.")},
		},
	}
}

func targetRule() *rule {
	root := &rule{about: "The folder on Conveyor's machine. The operator says which folders are allowed.", example: `"/srv/staging"`,
		kind: text, words: &wording{check: rootAlone, says: "write a folder, for example /srv/staging"}}
	script := &rule{about: "The name of a script that the operator has installed.", example: `"deploy-shop"`,
		kind: text, words: &wording{pattern: `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`, says: "write the name of one of the operator's scripts, without a path"}}
	return &rule{
		about: "How and where the artifact is put in place: exactly one of static and exec.", example: `{"static": "/srv/staging"}`,
		kind: mapping, least: 1, most: 1, hint: "write target: {static: /srv/staging} or target: {exec: deploy-shop}",
		later: laterKeys("ssh", "s3", "kubernetes", "ecs"),
		keys: []key{
			{name: "static", rule: &rule{
				about: "Put the files into a folder on Conveyor's machine, switching from one release to the next at once.", example: `{"root": "/srv/staging", "keep": 5}`,
				kind: text, words: root.words, hint: "write static: /srv/staging",
				or: &rule{kind: mapping, keys: []key{
					{name: "root", needed: true, missing: "name the folder, for example root: /srv/staging", rule: root},
					{name: "keep", rule: &rule{about: "How many earlier releases stay on disk.", example: `5`, kind: number, least: 1, most: 100}},
				}},
			}},
			{name: "exec", rule: &rule{
				about: "Hand the files to a script that the operator has installed.", example: `{"script": "deploy-shop", "region": "eu"}`,
				kind: text, words: script.words, hint: "write exec: deploy-shop",
				or: &rule{kind: mapping, most: 51, keys: []key{
					{name: "script", needed: true, missing: "name the script, for example script: deploy-shop", rule: script},
				}, called: "the setting", names: &wording{pattern: `^[a-z][a-z0-9_]{0,39}$`, says: "use lower-case letters, digits and _, a letter first"},
					rest: &rule{about: "A setting for the script, passed on as it is written.", example: `"eu"`, kind: text, scalar: true, words: &wording{longest: 1024}},
				},
			}},
		},
	}
}

func approveRule() *rule {
	by := func(needed string) key {
		return key{name: "by", needed: needed != "", missing: needed, rule: &rule{
			about: "Who may approve: roles in the repository, teams of the organisation, people, the owners of the changed files.", example: `["maintain", "team:release", "user:octocat"]`,
			kind: list, least: 1, most: 50, hint: "write for example by: [maintain]",
			item: &rule{about: "write, maintain, admin, team:<slug>, user:<login> or codeowners. A role stands for itself and all above.", example: `"maintain"`, kind: text, words: approver()},
		}}
	}
	count := key{name: "count", rule: &rule{about: "How many different people must approve, 1 when left out.", example: `1`, kind: number, least: 1, most: 50}}
	return &rule{
		about: "A gate that only people open, for exactly one commit and artifact.", example: `{"by": ["maintain", "team:release"], "count": 1, "not_author": true, "expires": "24h"}`,
		kind: mapping, hint: "write for example approve: {by: [maintain]}", keys: []key{
			by(""), count,
			{name: "groups", rule: &rule{
				about: "Several groups, in place of by and count. Each must be satisfied, by people of its own: nobody counts in two.", example: `[{"by": ["team:release"]}, {"by": ["codeowners"], "count": 1}]`,
				kind: list, least: 1, most: 10, hint: "write for example groups: [{by: [maintain]}, {by: [team:security], count: 2}]",
				item: &rule{about: "People of one kind, and how many of them.", example: `{"by": ["team:security"], "count": 2}`,
					kind: mapping, hint: "write for example - {by: [maintain], count: 1}", keys: []key{by("say who may approve, for example by: [maintain]"), count}},
			}},
			{name: "not_author", rule: &rule{about: "Whether the author of the change is left out.", example: `true`, kind: flag, hint: "write true or false"}},
			{name: "not_contributor", rule: &rule{about: "Whether everyone who wrote or pushed a commit of what ships is left out.", example: `true`, kind: flag, hint: "write true or false"}},
			{name: "expires", rule: &rule{about: "How long an approval lasts, 24h when left out.", example: `"24h"`, kind: text, words: between(time.Minute, 90*24*time.Hour)}},
			{name: "unsafe_window", rule: &rule{about: "How long after a push an approval must name its commit, 30s when left out.", example: `"30s"`, kind: text, words: between(time.Second, time.Hour)}},
		},
	}
}

const defaultApproval = 24 * time.Hour

// approver is the wording of those who may approve. Roles below write could open a gate from outside.
func approver() *wording {
	roles := []string{string(pipeline.Write), string(pipeline.Maintain), string(pipeline.Admin), pipeline.Codeowners}
	return &wording{
		pattern: `^(write|maintain|admin|codeowners|team:[a-z0-9][a-z0-9_-]{0,99}|user:[A-Za-z0-9][A-Za-z0-9_-]{0,99})$`,
		says:    "write write, maintain, admin, team:<slug>, user:<login> or codeowners",
		check: func(word string) (message, hint string) {
			kind, rest, named := strings.Cut(word, ":")
			switch role := pipeline.Role(word); {
			case role == pipeline.Read || role == pipeline.Triage:
				return fmt.Sprintf("cannot be %s: that role may not change the repository", quote(word)), "use write, maintain or admin"
			case named && kind == "team" && strings.ContainsAny(rest, "/ ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
				return fmt.Sprintf("cannot be %s", quote(word)), "write the team's slug as it stands in its address, without the organisation: team:release"
			case strings.HasPrefix(word, "@"):
				return fmt.Sprintf("cannot be %s", quote(word)), "write user:<login> or team:<slug>"
			case !named:
				if meant := near(word, roles); meant != "" && meant != word {
					return fmt.Sprintf("cannot be %s", quote(word)), fmt.Sprintf("did you mean %s?", quote(meant))
				}
			}
			return "", ""
		},
	}
}

// rootAlone checks a folder as far as that can be done without knowing which folders the operator allows.
func rootAlone(root string) (message, hint string) {
	for name := range strings.SplitSeq(strings.Trim(root, "/"), "/") {
		if name == "." || name == ".." || name == "" || strings.HasPrefix(name, "~") {
			return fmt.Sprintf("cannot be %s", quote(root)), "write the folder's plain path, without . and .., for example /srv/staging"
		}
	}
	if strings.ContainsAny(root, "{}$`\\") {
		return fmt.Sprintf("cannot be %s: nothing is filled in here", quote(root)), "write the folder's plain path; each environment gets its own folder below it"
	}
	return "", ""
}
