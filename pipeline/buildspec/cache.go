package buildspec

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// Cache is what a later build could begin with.
type Cache struct {
	Key     string   `json:"key,omitempty"`     // as written; only codebuild-hash-files is understood in it
	Files   []string `json:"files,omitempty"`   // globs that codebuild-hash-files names
	Folders []string `json:"folders,omitempty"` // relative to the workspace, or below the home folder: "~/.m2"
}

// usualKey are the files that say what a build fetches, for a cache whose key names none.
const usualKey = "**/{package-lock.json,npm-shrinkwrap.json,yarn.lock,pnpm-lock.yaml,go.sum,pom.xml,build.gradle,build.gradle.kts," +
	"gradle.lockfile,requirements*.txt,poetry.lock,Pipfile.lock,Cargo.lock,Gemfile.lock,composer.lock,packages.lock.json,mix.lock}"

// Spec is the cache as a step has it. The buildspec itself, at its path in the repository, is always among the files that
// name it, so that there is one.
func (c *Cache) Spec(buildspec string) *pipeline.CacheSpec {
	if c == nil || len(c.Folders) == 0 {
		return nil
	}
	spec := &pipeline.CacheSpec{Text: c.Key, Key: slices.Clone(c.Files), Paths: slices.Clone(c.Folders)}
	if len(spec.Key) == 0 {
		spec.Key = []string{literal(buildspec), usualKey}
	}
	return spec
}

// literal is a glob that matches one path.
func literal(name string) string {
	return regexp.MustCompile(`[*?\[\]{}\\]`).ReplaceAllString(name, `\$0`)
}

// https://docs.aws.amazon.com/codebuild/latest/userguide/caching-s3.html
var hashFiles = regexp.MustCompile(`\$\(\s*codebuild-hash-files\s+([^()]*)\)`)

func (r *reader) cache(n *yaml.Node) *Cache {
	if absent(n) || !r.mapping(n, "cache", "write for example cache: {paths: ['node_modules/**/*']}") {
		return nil
	}
	r.keys(n, "cache", "key", "fallback-keys", "action", "paths")
	c := &Cache{}
	c.Key, _ = r.text(find(n, "key"), "key")
	for _, found := range hashFiles.FindAllStringSubmatch(c.Key, -1) {
		for _, file := range strings.Fields(found[1]) {
			if file = strings.TrimPrefix(strings.Trim(file, `'"`), "./"); inside(file) && !slices.Contains(c.Files, file) {
				c.Files = append(c.Files, file)
			}
		}
	}
	if fallbacks := r.texts(find(n, "fallback-keys"), "fallback-keys"); len(fallbacks) > 5 {
		r.mistake(find(n, "fallback-keys"), "keep the first five", "there are %d fallback-keys; at most 5 are allowed", len(fallbacks))
	}
	if action, ok := r.text(find(n, "action"), "action"); ok {
		if action = strings.ToLower(action); action != "restore" && action != "save" {
			r.mistake(find(n, "action"), "write restore or save, or leave it out for both", "action cannot be %s", quote(action))
		} else {
			r.warn(find(n, "action"), "", "action has no effect: the cache is restored, and kept when its key is new")
		}
	}
	for _, p := range items(find(n, "paths")) {
		word, ok := r.text(p, "paths")
		if word = strings.TrimSpace(word); !ok || word == "" {
			continue
		}
		if folder, ok := cacheFolder(word); ok {
			c.add(folder)
		} else {
			r.warn(p, "the build works without it, only slower",
				"%s is not kept: only whole folders of the repository or of the home folder are, such as node_modules/**/* or /root/.m2/**/*", quote(word))
		}
	}
	return c
}

// add keeps the outer one of two folders that lie one in the other.
func (c *Cache) add(folder string) {
	for _, f := range c.Folders {
		if folder == f || strings.HasPrefix(folder, f+"/") {
			return
		}
	}
	c.Folders = slices.DeleteFunc(c.Folders, func(f string) bool { return strings.HasPrefix(f, folder+"/") })
	c.Folders = append(c.Folders, folder)
}

// cacheFolder is the folder that a path of a cache stands for. CodeBuild's builds are root's, whose home is /root.
func cacheFolder(written string) (folder string, ok bool) {
	folder = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(written, "/*"), "/**"), "/")
	home := false
	for _, prefix := range []string{"/root/", "~/", "$HOME/", "${HOME}/"} {
		if rest, found := strings.CutPrefix(folder, prefix); found {
			folder, home = rest, true
		}
	}
	for _, prefix := range []string{"$CODEBUILD_SRC_DIR/", "${CODEBUILD_SRC_DIR}/", "./"} {
		if !home {
			folder = strings.TrimPrefix(folder, prefix)
		}
	}
	if !inside(folder) || strings.ContainsAny(folder, `*?[]{}$\,:`) {
		return "", false
	}
	if home {
		folder = "~/" + folder
	}
	return folder, true
}

// inside reports whether a path is clean, relative and below where it starts.
func inside(name string) bool {
	return name != "" && name != "." && name != "~" && path.Clean("/"+name) == "/"+name
}
