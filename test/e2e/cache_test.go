package e2e

import (
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// withCache is a plan whose step looks at its cache, and leaves the mark of its commit in it.
func withCache(mark string) map[string]string {
	files := plan("sh mark.sh", "        cache: {key: [package-lock.json], paths: [node_modules, ~/.npm/deep]}")
	files["package-lock.json"] = "{}\n"
	files["mark.sh"] = "ls node_modules ~/.npm/deep; cat node_modules/* 2>/dev/null || true\necho of-" + mark + " | tee node_modules/mark-" + mark + " >~/.npm/deep/npm-" + mark + "\nls -d node_modules/*\n"
	return files
}

// ran is what a run's step printed, and looks whether the run's page shows its first words.
func (h *house) ran(run github.CheckRun) string {
	h.t.Helper()
	log := h.logOf("unit")
	first, _, _ := strings.Cut(log, "\n")
	shows(h.t, "the run's page", h.page(strings.TrimPrefix(run.DetailsURL, h.config.PublicURL)), first)
	return log
}

func TestACacheIsFilledByTheDefaultBranchAloneAndReadByAll(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.push("main", "author", "first", withCache("one"))
	log := h.ran(h.becomes(first, "conveyor / test", "success"))
	shows(t, "the first log", log, "cache: nothing is kept for key ", "mark-one", "cache: kept 1 kB as key ")
	h.quiet()

	// A writer's pull request reads it, and leaves nothing.
	pull := h.pull("topic", withCache("topic"))
	log = h.ran(h.becomes(pull.HeadSHA, "conveyor / test", "success"))
	shows(t, "the pull request's log", log, "cache: restored 1 kB from key ", "of-one", "npm-one", "mark-topic")
	other := withCache("topic")
	other["package-lock.json"] = `{"more": 1}` + "\n"
	next := h.push("topic", "author", "another key", other)
	log = h.ran(h.becomes(next, "conveyor / test", "success"))
	shows(t, "the log of another key", log, "the newest before key ", "of-one", "is not kept: only pushes to main fill the cache")
	h.quiet()

	// So does a stranger's, once it is allowed.
	evil := h.stranger(map[string]string{"mark.sh": withCache("evil")["mark.sh"], "package-lock.json": `{"evil": 1}` + "\n"})
	h.becomes(evil.HeadSHA, "conveyor / test", "action_required")
	h.comment(evil, "author", "/ok-to-test "+evil.HeadSHA)
	log = h.ran(h.becomes(evil.HeadSHA, "conveyor / test", "success"))
	shows(t, "the stranger's log", log, "of-one", "mark-evil", "is not kept")
	h.quiet()

	// The default branch with the very same keys finds nothing of theirs.
	for _, lock := range []string{"{}\n", `{"more": 1}` + "\n", `{"evil": 1}` + "\n"} {
		files := withCache("main")
		files["package-lock.json"] = lock
		files["README.md"] = lock
		sha := h.push("main", "author", lock, files)
		log = h.ran(h.becomes(sha, "conveyor / test", "success"))
		shows(t, "the log of main", log, "cache: restored ", "of-one")
		for _, word := range []string{"evil", "topic"} {
			if strings.Contains(log, word) {
				t.Errorf("a trusted run finds what %s wrote:\n%s", word, log)
			}
		}
	}
	h.quiet()
}

func TestWhereTheCommitHoldsTheFolderTheCacheIsNotUsed(t *testing.T) {
	t.Parallel()
	h := open(t)
	files := withCache("one")
	files["node_modules/own"] = "of the commit\n"
	files["mark.sh"] = "cat node_modules/own\n"
	log := h.ran(h.becomes(h.push("main", "author", "first", files), "conveyor / test", "success"))
	shows(t, "the log", log, "cache: not used: the commit holds files there: node_modules", "of the commit")
}

func TestTheCacheOfABuildspecIsKeptAndAnotherKeyIsAnotherCache(t *testing.T) {
	t.Parallel()
	h := open(t)
	with := func(key, mark string) map[string]string {
		files := brought("version: 0.2\nphases: {build: {commands: ['ls node_modules ~/.m2', 'echo x >node_modules/" + mark + "; echo x >~/.m2/" + mark + "']}}\n" +
			"cache:\n  key: " + key + "$(codebuild-hash-files package-lock.json)\n  paths: ['node_modules/**/*', '/root/.m2/**/*', '*.jar']\n")
		files["package-lock.json"] = "{}\n"
		return files
	}
	log := func(key, mark string) string {
		sha := h.push("main", "author", mark, with(key, mark))
		h.becomes(sha, "conveyor / build", "success")
		defer h.quiet()
		return h.logOf("shop")
	}
	shows(t, "the first log", log("v1-", "one"), "is not kept: only whole folders", "cache: nothing is kept for key ", "cache: kept 1 kB as key ")
	shows(t, "the second log", log("v1-", "two"), "cache: restored 1 kB from key ", "\none\n")
	if third := log("v2-", "three"); !strings.Contains(third, "cache: nothing is kept for key ") || strings.Contains(third, "\none\n") {
		t.Errorf("a cache with another key begins with what there was under the first:\n%s", third)
	}
}
