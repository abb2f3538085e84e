package planfile

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// secretsRule is the form of secrets, in a step and in an environment: what is given, never a value.
func secretsRule(about string) *rule {
	const says = "write secrets: [NPM_TOKEN], or secrets: {NPM_TOKEN: name-in-the-store}"
	variable := func() *wording {
		return &wording{
			pattern: `^[A-Za-z_][A-Za-z0-9_]*$`, longest: 128, says: "use letters, digits and _, and no digit first",
			never: `^(PATH|ENV|BASH_ENV|LD_.*|GIT_.*|CONVEYOR_.*)$`, taken: "PATH, ENV, BASH_ENV, LD_*, GIT_* and CONVEYOR_* are reserved",
		}
	}
	from := func() *rule {
		return &rule{about: "The secret's name in the store.", example: `"npm-token"`, kind: text, words: &wording{
			pattern: `^[A-Za-z0-9][A-Za-z0-9_-]*$`, longest: 128, says: "use letters, digits, - and _: the name with which it was set, never its value"}}
	}
	named := from()
	named.or = &rule{kind: mapping, hint: "write for example NPM_TOKEN: {from: npm-token, as: env}", keys: []key{
		{name: "from", rule: from()},
		{name: "as", rule: &rule{
			about: "env also passes it as a variable of the environment, which is easier to leak. It is a file in any case.", example: `"env"`,
			kind: text, words: &wording{oneOf: []string{"file", "env"}, says: "write as: env, or leave it out"},
		}},
		{name: "optional", rule: &rule{about: "Whether to go on without it where it cannot be had.", example: `true`, kind: flag, hint: "write true or false"}},
	}}
	return &rule{
		about: about, example: `["NPM_TOKEN"]`, kind: list, least: 1, most: maxSecrets, hint: says,
		item: &rule{about: "A secret that has the same name in the store.", example: `"NPM_TOKEN"`, kind: text, words: variable()},
		or: &rule{
			about: "Secrets by the name under which they are given.", example: `{"NPM_TOKEN": "npm-token"}`,
			kind: mapping, least: 1, most: maxSecrets, hint: says, called: "the secret", names: variable(), rest: named,
		},
	}
}

// maxSecrets is how many secrets one step may have.
const maxSecrets = 50

// cacheRule is the form of a step's cache.
func cacheRule() *rule {
	kinds := slices.Sorted(maps.Keys(pipeline.CacheKinds))
	says := "write cache: " + strings.Join(kinds, ", cache: ") + ", or cache: {key: [package-lock.json], paths: [node_modules]}"
	return &rule{
		about: "Folders that are kept for later runs: those of a known tool, or those that are named. Only pushes to the default branch fill it.", example: `"npm"`,
		kind: text, hint: says, words: &wording{oneOf: kinds, says: says},
		or: &rule{kind: mapping, hint: says, keys: []key{
			{name: "key", needed: true, missing: "say which files name what is in it, for example key: [package-lock.json]", rule: &rule{
				about: "Globs of files of the commit. When one of them changes, it is another cache, which begins as the newest one before.", example: `["package-lock.json"]`,
				kind: list, least: 1, most: 20, hint: "write for example key: [package-lock.json]",
				item: &rule{about: "A path or a glob.", example: `"**/go.sum"`, kind: text, words: aFileGlob()},
			}},
			{name: "paths", needed: true, missing: "say which folders are kept, for example paths: [node_modules]", rule: &rule{
				about: "Folders, relative to the top of the repository, or below the home folder.", example: `["node_modules", "~/.npm"]`,
				kind: list, least: 1, most: 10, hint: "write for example paths: [node_modules, ~/.npm]",
				item: &rule{about: "A plain folder, without a pattern.", example: `"~/.npm"`, kind: text,
					words: &wording{check: cachePath, says: "write a folder relative to the top of the repository, or ~/folder"}},
			}},
		}},
	}
}

// cachePath refuses what is no plain folder of the workspace or below the home folder.
func cachePath(word string) (message, hint string) {
	rest, home := strings.CutPrefix(word, "~/")
	clean := strings.TrimPrefix(rest, "./")
	if clean == "" || clean == "." || clean == "~" || path.Clean("/"+clean) != "/"+clean || home && rest != clean || strings.ContainsAny(clean, `*?[]{}\,:`) {
		return fmt.Sprintf("cannot be %s", quote(word)), "write a folder relative to the top of the repository, or ~/folder, without . and .. and patterns in it"
	}
	return "", ""
}

func secrets(v *value) (all []pipeline.SecretUse) {
	for _, item := range v.list() {
		all = append(all, pipeline.SecretUse{Name: item.text(), From: item.text()})
	}
	for _, f := range v.mapping() {
		use := pipeline.SecretUse{Name: f.key, From: f.key, Env: f.value.get("as").text() == "env", Optional: isTrue(f.value.get("optional"))}
		if f.value.is(text) {
			use.From = f.value.text()
		} else if from := f.value.get("from").text(); from != "" {
			use.From = from
		}
		all = append(all, use)
	}
	return all
}

func cache(v *value) *pipeline.CacheSpec {
	if v == nil {
		return nil
	}
	if known, ok := pipeline.CacheKinds[v.text()]; ok {
		return &known
	}
	return &pipeline.CacheSpec{Key: texts(v.get("key"), true), Paths: texts(v.get("paths"), true)}
}

// givenSense checks what a step is given: each name once, and no folder that is two things.
func givenSense(step *value, m *mistakes) {
	secretSense(step.get("secrets"), m)
	if user := step.field("user"); user != nil && user.value.text() == "root" && step.get("image") == nil {
		m.add(user.at, "name an image, for example image: debian:12, or leave user out", "nobody is root among the tools of Conveyor's machine")
	}
	for _, f := range step.get("secrets").mapping() {
		if f.value.get("as").text() == "env" && step.get("env").field(f.key) != nil {
			m.add(f.at, "give one of them another name", "the variable %s is set in env, too", quote(f.key))
		}
	}
	paths := step.get("cache").get("paths").list()
	for i, p := range paths {
		for _, other := range paths[:i] {
			if below(p.text(), other.text()) || below(other.text(), p.text()) {
				m.add(p.at, "keep the outer one", "%s and %s lie one in the other", quote(other.text()), quote(p.text()))
			}
		}
		for _, glob := range step.get("artifact").get("paths").list() {
			if strings.HasPrefix(strings.TrimPrefix(glob.text(), "./"), strings.TrimPrefix(p.text(), "./")+"/") {
				m.add(glob.at, "copy what belongs to the artifact into another folder", "%s lies in the cache, which is no part of an artifact", quote(glob.text()))
			}
		}
	}
}

// below reports whether one folder is another, or lies in it.
func below(folder, other string) bool {
	folder, other = strings.TrimPrefix(folder, "./"), strings.TrimPrefix(other, "./")
	return folder == other || strings.HasPrefix(folder, other+"/")
}

// secretSense wants each secret once.
func secretSense(v *value, m *mistakes) {
	seen := map[string]bool{}
	for _, item := range v.list() {
		if seen[item.text()] {
			m.add(item.at, "keep one", "%s stands here twice", quote(item.text()))
		}
		seen[item.text()] = true
	}
}

// placeSecretSense refuses secrets where nothing can use them.
func placeSecretSense(env *value, m *mistakes) {
	given := env.get("secrets")
	secretSense(given, m)
	if given != nil && env.get("target").get("static") != nil {
		m.add(given.at, "remove it: secrets are for the scripts of target: {exec: …}", "a static target uses no secrets")
	}
}
