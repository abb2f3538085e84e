package pipeline_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
)

func scripts(lines ...string) (p pipeline.Plan) {
	for i, line := range lines {
		p.Stages = append(p.Stages, pipeline.Stage{Name: "s", Steps: []pipeline.Step{{Name: string(rune('a' + i)), Run: line}}})
	}
	return p
}

func TestWhatExecutesInCIIsFoundByItsName(t *testing.T) {
	t.Parallel()
	for p, says := range map[string]string{
		".github/conveyor.yml": "no effect here", ".github/workflows/x.yml": "workflows", ".github/actions/a/index.js": "workflows",
		"package.json": "installed", "web/package.json": "scripts", "yarn.lock": "packages", ".yarnrc.yml": "package manager", ".yarn/releases/yarn-4.cjs": "package manager",
		"jest.config.js": "program", "app/vite.config.mts": "program", "eslint.config.mjs": "program", ".eslintrc.json": "loads", "tsconfig.base.json": "loads",
		"setup.py": "Python", "pkg/conftest.py": "Python", "evil.pth": "Python", "pyproject.toml": "packages", "requirements-dev.txt": "packages",
		"build.rs": "Cargo", "crates/a/Cargo.toml": "Cargo", ".cargo/config.toml": "Cargo", "go.mod": "modules", "vendor/x/y.go": "compiled in",
		"Makefile": "build file", "sub/makefile": "build file", "rules.mk": "build file", "CMakeLists.txt": "build file", "Rakefile": "build file",
		"build.gradle.kts": "build", "gradlew": "build", "gradle/wrapper/gradle-wrapper.jar": "build tool", ".mvn/extensions.xml": "build tool", "a/BUILD.bazel": "Bazel",
		"Dockerfile": "image", "api.Dockerfile": "image", "Dockerfile.dev": "image", "docker-compose.yml": "image", ".envrc": "surroundings", "x/default.nix": "surroundings",
		".husky/pre-commit": "hook", ".pre-commit-config.yaml": "programs", ".gitattributes": "Git", "deploy.sh": "script", "a/b/run.ps1": "script", "scripts/notes": "scripts", "ci/x.py": "scripts",
		"price/price_test.go": "test", "src/a.test.tsx": "test", "cart.spec.js": "test", "test_cart.py": "test", "CartTest.java": "test", "tests/helper.py": "tests", "src/__tests__/x.js": "tests",
		"a\nb.sh": "script", "a\nb/Makefile": "build file", "lib/x.so": "nobody can read", "a.wasm": "nobody can read",
	} {
		got := pipeline.Executes(scripts("true"), []string{p})
		if len(got) != 1 || got[0].Path != p || !strings.Contains(got[0].Why, says) {
			t.Errorf("%s: %+v, want %q", p, got, says)
		}
	}
}

func TestWhatIsReadAndNotRunIsNotListed(t *testing.T) {
	t.Parallel()
	quiet := []string{"README.md", "docs/guide.md", "src/cart.go", "src/index.ts", "page.html", "LICENSE", "logo.svg", "contest.txt", "latest.go", "scripted.md", "testing.md", "binary.txt"}
	if got := pipeline.Executes(scripts("npm ci && npm test", "go build ./...", "cargo test -- --nocapture"), quiet); len(got) != 0 {
		t.Errorf("listed are %+v", got)
	}
}

func TestWhatAStepNamesIsFoundWhereverItLies(t *testing.T) {
	t.Parallel()
	for line, p := range map[string]string{
		"./ci-run": "ci-run", "python check_prices.py --all": "check_prices.py", "cd web && ./prices.mjs": "web/prices.mjs", "node tasks/index.mjs": "tasks/index.mjs",
		"pytest prices/": "prices/rates.csv", "cat lists/*.txt | sort": "lists/a.txt", `sh -c "exec ./go-on"`: "go-on", "PRICES=rates/eu.csv check": "rates/eu.csv",
		"node generator": "generator/index.mjs", "x=$(./inner one)": "inner",
	} {
		got := pipeline.Executes(scripts("true", line), []string{"other.txt", p})
		if len(got) != 1 || got[0] != (pipeline.Executed{Path: p, Why: "The step b names it."}) {
			t.Errorf("%q with %s: %+v", line, p, got)
		}
	}
}

func TestWhatThePlanNamesStandsBeforeTheRest(t *testing.T) {
	t.Parallel()
	got := pipeline.Executes(scripts("./z-last"), []string{"Makefile", "a_test.go", "z-last", ".github/conveyor.yml"})
	var paths []string
	for _, e := range got {
		paths = append(paths, e.Path)
	}
	if want := []string{".github/conveyor.yml", "z-last", "Makefile", "a_test.go"}; !slices.Equal(paths, want) {
		t.Errorf("the order is %q, want %q", paths, want)
	}
}

func TestABuildspecIsPartOfThePlan(t *testing.T) {
	t.Parallel()
	plan := pipeline.Plan{Stages: []pipeline.Stage{{Name: "s", Steps: []pipeline.Step{{
		Name: "shop", Buildspec: "aws/spec.yml", Spec: "version: 0.2\nphases: {build: {commands: ['node tasks/index.mjs']}}\n",
	}}}}}
	got := pipeline.Executes(plan, []string{"tasks/index.mjs", "notes.txt", "aws/spec.yml"})
	if len(got) != 2 || got[0].Path != "aws/spec.yml" || !strings.Contains(got[0].Why, "no effect here") || got[1].Why != "The step shop names it." {
		t.Errorf("%+v", got)
	}
}

func TestAFileThatThePlanUsesIsAPartOfIt(t *testing.T) {
	t.Parallel()
	found := pipeline.Executes(pipeline.Plan{Uses: []string{"ci/stages.yml"}}, []string{"ci/stages.yml", "docs/notes.txt"})
	if len(found) != 1 || found[0].Path != "ci/stages.yml" || !strings.Contains(found[0].Why, "a part of the plan") {
		t.Errorf("found %+v", found)
	}
}
