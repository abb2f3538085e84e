package pipeline

import (
	"path"
	"regexp"
	"strings"
)

// nameRule says of files of one kind why they execute. A name may hold anything, line breaks too, so that a dot stands for
// every character in it.
type nameRule struct {
	form *regexp.Regexp // of the whole path when it holds a slash, else of the base name
	why  string
}

func named(form, why string) nameRule {
	return nameRule{regexp.MustCompile(`^(?s:` + form + `)$`), why}
}

// nameRules are tried in order; the first that fits says why.
var nameRules = []nameRule{
	named(`\.github/.*`, "It is read by what runs for this repository: workflows, actions and their scripts."),
	named(`\.gitlab-ci\.yml|\.travis\.yml|appveyor\.yml|azure-pipelines\.yml|Jenkinsfile`, "It is another CI's plan."),
	named(`(?:.*/)?\.husky/.*`, "It is a hook that installing the packages sets up."),

	named(`package\.json`, "Its scripts run by name, and some of them whenever packages are installed; it also says which packages."),
	named(`package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?`, "It says which packages are installed, and packages run scripts when they are."),
	named(`\.npmrc|\.yarnrc(?:\.yml)?|\.pnpmfile\.cjs|pnpm-workspace\.yaml|\.pnp\.c?js|bunfig\.toml`, "It says where packages come from, or is run by the package manager."),
	named(`(?:.*/)?\.yarn/(?:releases|plugins)/.*`, "The package manager runs it."),
	named(`[a-zA-Z0-9_.-]*\.(?:config|conf|setup)\.[cm]?[jt]sx?`, "It is a tool's configuration that is a program: the tool runs it at its start."),
	named(`\.(?:eslintrc|babelrc|prettierrc|stylelintrc|mocharc|lintstagedrc|commitlintrc|nycrc)(?:\.[a-z]+)?`, "It configures a tool, and may name programs that the tool loads."),
	named(`(?:Gulpfile|gulpfile|Gruntfile)\.[cm]?[jt]s|vite-env\.d\.ts`, "It is a build program."),
	named(`tsconfig[a-zA-Z0-9_.-]*\.json|turbo\.json|nx\.json|lerna\.json|deno\.jsonc?|\.swcrc`, "It configures a build, and may name programs that it loads."),

	named(`setup\.py|conftest\.py|noxfile\.py|fabfile\.py|tasks\.py|sitecustomize\.py|usercustomize\.py|wscript|SCons(?:truct|cript)`, "Python runs it when packages are installed, tests are collected or tasks are started."),
	named(`.*\.pth`, "Python runs its import lines at every start."),
	named(`setup\.cfg|pyproject\.toml|tox\.ini|pytest\.ini|Pipfile(?:\.lock)?|poetry\.lock|uv\.lock|requirements[a-zA-Z0-9_.-]*\.txt|constraints[a-zA-Z0-9_.-]*\.txt`, "It says which packages are installed and which programs build and test."),

	named(`build\.rs|Cargo\.toml|Cargo\.lock|rust-toolchain(?:\.toml)?`, "Cargo runs it, or builds by it: build scripts and macros of packages run on the machine that compiles."),
	named(`(?:.*/)?\.cargo/config(?:\.toml)?`, "It says which programs Cargo calls."),
	named(`go\.(?:mod|sum|work|work\.sum)|tools\.go`, "It says which modules, and which Go, are used."),
	named(`(?:.*/)?vendor/.*`, "It is a copy of someone else's code that is compiled in."),

	named(`(?:GNU)?[Mm]akefile(?:\..*)?|.*\.mk|CMakeLists\.txt|.*\.cmake|meson\.build|configure(?:\.ac)?|.*\.am|[Jj]ustfile|Taskfile\.ya?ml|Earthfile|Tiltfile|Rakefile|.*\.rake|dune(?:-project)?`, "It is a build file: its commands run when a step calls its tool."),
	named(`Gemfile(?:\.lock)?|.*\.gemspec|\.rspec|composer\.(?:json|lock)|mix\.(?:exs|lock)|Package\.swift|Podfile(?:\.lock)?`, "It is read as a program, or says which packages are installed."),
	named(`.*\.gradle(?:\.kts)?|gradle\.properties|gradlew(?:\.bat)?|mvnw(?:\.cmd)?|pom\.xml|build\.xml|build\.sbt|.*\.(?:cs|fs|vb)proj|.*\.(?:props|targets)|nuget\.config`, "It is a build file, and may name programs that the build loads."),
	named(`(?:.*/)?(?:gradle/wrapper|\.mvn|project)/.*`, "The build tool loads it at its start."),
	named(`(?:MODULE|WORKSPACE|BUILD)(?:\.bazel)?|.*\.bzl|\.bazelrc|BUCK|\.buckconfig`, "It is a build file of Bazel or Buck."),

	named(`(?:.*[.-])?(?:Docker|Container)file(?:\..*)?|(?:docker-)?compose[a-zA-Z0-9_.-]*\.ya?ml|\.dockerignore`, "Its commands run when an image is built, or it says what a container may do."),
	named(`\.(?:envrc|env(?:\..*)?|bashrc|profile|tool-versions|nvmrc|node-version|python-version|ruby-version)|(?:\.)?mise\.toml|shell\.nix|flake\.(?:nix|lock)|.*\.nix`, "It sets up the surroundings in which programs run."),
	named(`\.pre-commit-config\.yaml|lefthook\.ya?ml|\.golangci\.ya?ml|codegen\.ya?ml|buf\.gen\.yaml|sqlc\.ya?ml`, "It says which programs a check or a generator calls."),
	named(`\.gitmodules|\.gitattributes`, "It changes what Git puts into the tree."),

	named(`.*\.(?:sh|bash|zsh|fish|ksh|ps1|psm1|bat|cmd|awk)`, "It is a script."),
	named(`(?:.*/)?(?:scripts?|bin|ci|hack|tools|build|hooks)/.*`, "It lies in a folder of scripts or tools."),
	named(`.*_test\.go|.*[._-](?:test|spec|cy|e2e)\.[cm]?[jt]sx?|test_.*\.py|.*_test\.(?:py|rb|exs|dart|cc|cpp)|.*_spec\.rb|.*Tests?\.(?:java|kt|cs|php|swift|scala)`, "It is a test: the test runner finds it by its name."),
	named(`(?:.*/)?(?:tests?|__tests__|spec|specs|e2e|cypress|playwright|testdata|__mocks__|fixtures)/.*`, "It lies in a folder of tests."),
	named(`.*\.(?:so|dylib|dll|exe|a|o|jar|war|class|pyc|whl|wasm|node|bin)`, "It is a program or a library in a form that nobody can read here."),
}

// executesByName says why a path executes by what it is called, or nothing.
func executesByName(p string) string {
	base := path.Base(p)
	for _, r := range nameRules {
		if strings.Contains(r.form.String(), "/") {
			if r.form.MatchString(p) {
				return r.why
			}
		} else if r.form.MatchString(base) {
			return r.why
		}
	}
	return ""
}
