package planfile

import (
	"regexp"
	"time"
)

// grammar is the table of everything that may stand in a pipeline file.
func grammar() *rule {
	return &rule{
		about: "What Conveyor does with this repository: which events start a run, what is built and tested, and where the artifacts go.",
		example: `{"version": 1, "on": {"push": {"branches": ["main"]}, "pull_request": {}},
			"stages": [{"name": "test", "steps": [{"name": "unit", "run": "go test ./..."}]}]}`,
		kind: mapping, hint: "start the file with version: 1",
		later: laterKeys("needs", "services", "cache", "matrix", "if", "strategy", "image"),
		keys: []key{
			{name: "env", rule: envRule("Environment variables of all steps of the file, in plain text. A stage's and a step's own take their place.", nil)},
			{name: "version", needed: true, missing: "start the file with version: 1", rule: &rule{
				about: "The version of this file's form.", example: `1`,
				kind: number, least: 1, most: 1, hint: "write version: 1, the only version there is",
			}},
			{name: "name", rule: &rule{
				about: "The pipeline's name, unique in the repository: a file of .github/conveyor is called after its file when this is left out. The pipeline of .github/conveyor.yml is called conveyor, and has no name here.", example: `"nightly"`,
				kind: text, words: reserve(aName(), `^conveyor$`, "conveyor is the pipeline of .github/conveyor.yml"),
			}},
			{name: "on", needed: true, rule: onRule(),
				missing: "say which events start a run, for example on: {push: {branches: [main]}, pull_request: {}}; nothing is assumed here"},
			{name: "concurrency", rule: &rule{
				about: "What becomes of several runs of one branch or pull request. parallel, as when it is left out: each for itself. queue: a stage holds one run, and the others wait in the order of their start. supersede: of those that wait for a stage, the newest takes the others' place.", example: `"queue"`,
				kind: text, words: &wording{oneOf: []string{"parallel", "queue", "supersede"}, says: "write parallel, queue or supersede"},
			}},
			{name: "stages", needed: true, rule: stagesRule(),
				missing: "write at least one stage with a step that has run"},
			{name: "timeout", rule: &rule{
				about: "How long a whole run may take from the start of its first step, waits between steps included: 6h when left out and 7d at most. A run of which nothing could begin ends after 24h.", example: `"2h"`,
				kind: text, words: between(time.Second, maxRun),
			}},
			{name: "source", rule: sourceRule()},
			{name: "environments", rule: environmentsRule()},
		},
	}
}

func onRule() *rule {
	const hint = "write for example on: {push: {branches: [main]}, pull_request: {}}"
	filter := func(about, example, branches string, more ...key) *rule {
		globs := func(about, example, hint string, item *rule) *rule {
			return &rule{about: about, example: example, kind: list, least: 1, most: 50, hint: hint, item: item}
		}
		branch := &rule{about: "A branch, or a glob: * stands for anything without a slash, ** for anything.", example: `"main"`,
			kind: text, words: &wording{check: branchGlob, longest: 255, says: "write a branch or a glob: main, release/**"}}
		file := &rule{about: "A path, or a glob: * stands for anything without a slash, ** for anything.", example: `"web/**"`, kind: text, words: aFileGlob()}
		return &rule{about: about, example: example, kind: mapping, hint: "write {} for all of them, or {branches: [main]}", keys: append([]key{
			{name: "branches", rule: globs(branches, `["main", "release/**"]`, "write for example branches: [main], or leave it out to mean every branch", branch)},
			{name: "branches_ignore", rule: globs("Branches that do not count, although branches names them.", `["release/old-*"]`, "write for example branches_ignore: [wip/**]", branch)},
			{name: "paths", rule: globs("Only changes of these files count; all when left out.", `["web/**", "package.json"]`, "write for example paths: [web/**]", file)},
			{name: "paths_ignore", rule: globs("Changes of these files do not count.", `["docs/**", "**/*.md"]`, "write for example paths_ignore: [docs/**]", file)},
		}, more...)}
	}
	return &rule{
		about:   "Which events start a run. Nothing is assumed: what is left out starts none.",
		example: `{"push": {"branches": ["main"]}, "pull_request": {}}`,
		kind:    mapping, least: 1, hint: hint,
		keys: []key{
			{name: "push", rule: filter("Start a run for each push to these branches.", `{"branches": ["main"]}`,
				"The pushed branches that count; all when left out.")},
			{name: "pull_request", rule: filter("Start a run for each commit of a pull request.", `{}`,
				"The base branches that count; all when left out. Into another base, its checks are skipped.", key{name: "outside", rule: outsideRule()})},
			{name: "schedule", rule: scheduleRule()},
			{name: "manual", rule: manualRule()},
			{name: "merge_group", rule: filter("Start a run for each group of the merge queue. When left out, groups are tested as pull requests into their base are, or pushes to it.", `{"branches": ["main"]}`,
				"The base branches whose queue counts; all when left out. For another base, its checks are skipped.")},
		},
	}
}

// outsideRule is what runs before anyone has allowed it.
func outsideRule() *rule {
	const says = "write outside: ask, outside: run, or the names of stages: outside: [test]"
	return &rule{
		about:   "What becomes of a pull request whose author may not write here. ask, as when it is left out: nothing runs until someone who may write types /ok-to-test SHA. run: all stages run at once, without network, secrets and artifacts. A list: only these stages do. It counts in the base branch's file only.",
		example: `"ask"`, kind: text, hint: says, words: &wording{oneOf: []string{"ask", "run"}, says: says},
		or: &rule{
			about: "The stages that run at once.", example: `["test"]`, kind: list, least: 1, most: maxStages, hint: says,
			item: &rule{about: "The name of a stage.", example: `"test"`, kind: text, words: aName()},
		},
	}
}

func stagesRule() *rule {
	return &rule{
		about:   "The stages of a run. They run in the order in which they are written; a stage starts when all steps of the one before have passed.",
		example: `[{"name": "test", "steps": [{"name": "unit", "run": "go test ./..."}]}]`,
		kind:    list, least: 1, most: maxStages, hint: "write at least one stage with a step that has run",
		item: &rule{
			about: "Steps that may run together. GitHub shows each stage as one check.", example: `{"name": "test", "steps": [{"name": "unit", "run": "go test ./..."}]}`,
			kind: mapping, hint: "write - name: test, and its steps below", or: usesForm(),
			later: laterKeys("needs", "services", "cache", "matrix", "strategy", "image"),
			keys: []key{
				{name: "if", rule: ifRule("A condition of all steps of the stage, in CEL. When it does not hold, the stage is left out, and its check is skipped.")},
				{name: "env", rule: envRule("Environment variables of all steps of the stage, in plain text. A step's own take their place.", nil)},
				{name: "name", needed: true, missing: "give the stage a name, for example name: test", rule: &rule{
					about: "The stage's name, unique in the file. Its check is called conveyor / <name>; of another pipeline, <pipeline> / <name>.", example: `"test"`,
					kind: text, words: reserve(aName(), `^plan$`, "the check … / plan shows mistakes in the file"),
				}},
				{name: "steps", needed: true, missing: "write at least one step with name and run", rule: &rule{
					about: "The stage's steps. Each runs in its own sandbox, in a fresh copy of the source.", example: `[{"name": "unit", "run": "go test ./..."}]`,
					kind: list, least: 1, most: maxSteps, hint: "write at least one step with name and run", item: stepRule(),
				}},
			},
		},
	}
}

func networkRule() *rule {
	const says = "write none, allowed (the hosts on the operator's list, as when it is left out) or full (every public host)"
	return &rule{
		about:   "What the step may reach, through a proxy named in http_proxy and https_proxy: none, allowed (the hosts on the operator's list; when left out) or full (every public host). Code from outside gets less.",
		example: `"none"`, kind: text, hint: says, words: &wording{oneOf: []string{"none", "allowed", "full"}, says: says},
	}
}

func stepRule() *rule {
	return &rule{
		about: "One list of commands in one sandbox.", example: `{"name": "unit", "run": "go test ./...", "timeout": "10m"}`,
		kind: mapping, hint: "write - name: unit, and run: with its commands below",
		later:  laterKeys("strategy"),
		either: []string{"run", "buildspec"}, lacks: "say what the step does, for example run: go test ./...",
		keys: []key{
			{name: "name", needed: true, missing: "give the step a name, for example name: unit", rule: &rule{
				about: "The step's name, unique in the file.", example: `"unit"`, kind: text, words: aName(),
			}},
			{name: "run", rule: &rule{
				about: "The commands, run by a shell that stops at the first one that fails. They are never filled in: what the event says comes as environment variables.", example: `"npm ci && npm test"`,
				kind: text, words: &wording{lines: true, longest: 64 << 10, says: "say what the step does, for example run: go test ./..."},
			}},
			{name: "image", rule: &rule{
				about: "The image whose file system the step sees, read-only, in place of the tools of Conveyor's machine. It needs a shell; its entrypoint and user are not used. A tag is looked up once in a run.", example: `"node:20"`,
				kind: text, words: &wording{check: imageName, longest: 512, says: "write a name and a tag, for example node:20, or a digest: node@sha256:…"},
			}},
			{name: "user", rule: &rule{
				about: "root, for a step in an image that installs packages: it is root of its own box, and what it changes in the image is in memory and gone with it. Only for code of people who may write. When left out, it is a plain user, who owns the workspace.", example: `"root"`,
				kind: text, words: &wording{oneOf: []string{"root"}, says: "write user: root, or leave it out: the step is then a plain user, who owns the workspace"},
			}},
			{name: "buildspec", rule: &rule{
				about: "A buildspec of CodeBuild, version 0.2 or 0.1, in place of run: its path, read at the commit at which this file is read.", example: `"buildspec.yml"`,
				kind: text, words: &wording{check: filePath, longest: 255, says: "write the path of a file of the repository, for example buildspec: buildspec.yml"},
			}},
			{name: "env", rule: envRule("Environment variables of the step, in plain text, or taken from what an earlier step puts out. Secrets do not belong here.", fromRule())},
			{name: "if", rule: ifRule("A condition, in CEL, asked when what the step waits for is over. When it does not hold, the step is left out, which is no failure.")},
			{name: "needs", rule: needsRule()},
			{name: "matrix", rule: matrixRule()},
			{name: "dir", rule: &rule{
				about: "The folder in which the commands run, the top of the repository when left out.", example: `"web"`,
				kind: text, words: &wording{check: folder, says: "write a folder relative to the top of the repository, for example dir: web"},
			}},
			{name: "secrets", rule: secretsRule("The repository's secrets that the step is given, each as a file /run/secrets/NAME. Only code of people who may write gets any.")},
			{name: "cache", rule: cacheRule()},
			{name: "shell", rule: shellRule()},
			{name: "retries", rule: &rule{
				about: "How often the step is run again when its commands fail or run into the timeout. Each attempt starts from a fresh copy of the source.", example: `2`,
				kind: number, least: 1, most: maxRetries,
			}},
			{name: "allow_failure", rule: &rule{
				about: "Whether the step may fail: it is shown as failed, and nothing is held up by it.", example: `true`, kind: flag, hint: "write true or false",
			}},
			{name: "resources", rule: resourcesRule("What the step may use, up to the server's own limits, which count when it is left out.", `{"memory": "2G", "cpu": 1.5, "pids": 512}`)},
			{name: "services", rule: servicesRule()},
			{name: "timeout", rule: &rule{
				about: "How long one attempt of the step may take, 30m when left out and 6h at most.", example: `"30m"`,
				kind: text, words: between(time.Second, maxTimeout),
			}},
			{name: "network", rule: networkRule()},
			{name: "reports", rule: &rule{
				about: "Files that the step writes: results of tests and analyses, which become annotations, and coverage.", example: `{"junit": "reports/*.xml"}`,
				kind: mapping, least: 1, hint: "write for example reports: {junit: reports/*.xml}", keys: reportKeys(),
			}},
			{name: "input_artifacts", rule: inputRule()},
			{name: "artifact", rule: &rule{
				about: "Files of the workspace that are kept, named by their digest, and can be deployed.", example: `{"name": "site", "paths": ["dist/**"]}`,
				kind: mapping, hint: "write for example artifact: {name: site, paths: [dist/**]}", keys: []key{
					{name: "name", needed: true, missing: "give the artifact a name, for example name: site", rule: &rule{
						about: "The artifact's name, unique in the file. Environments refer to it.", example: `"site"`, kind: text, words: aName(),
					}},
					{name: "paths", rule: &rule{
						about: "Globs of its files, relative to the top of the repository. Left out beside buildspec, which says them itself.", example: `["dist/**"]`,
						kind: list, least: 1, most: 100, hint: "write for example paths: [dist/**]",
						item: &rule{about: "A glob: * stands for anything without a slash, ** for anything.", example: `"dist/**"`, kind: text, words: aFileGlob()},
					}},
				},
			}},
		},
	}
}

const (
	defaultTimeout = 30 * time.Minute
	maxTimeout     = 6 * time.Hour
	maxRun         = 7 * 24 * time.Hour
)

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)

// aName is the wording of all names that people give in the file.
func aName() *wording {
	return &wording{pattern: nameForm.String(), longest: 100,
		says: "use lower-case letters, digits, - and _, a letter or digit first, 40 characters at most"}
}

func reserve(w *wording, never, why string) *wording {
	w.never, w.taken = never, why
	return w
}

func aFileGlob() *wording {
	return &wording{check: fileGlob, says: "write a path or glob relative to the top of the repository"}
}
