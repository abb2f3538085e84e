package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/conveyor-ci/conveyor/test/github"
)

// desk is a working tree of someone who has Conveyor's binary, and neither a server nor GitHub.
type desk struct {
	t   *testing.T
	dir string
	env []string // variables of the person
}

func newDesk(t *testing.T, files map[string]string) desk {
	t.Helper()
	d := desk{t: t, dir: filepath.Join(t.TempDir(), "desk")}
	d.write(files)
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "-q", "-m", "first"}} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = d.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return d
}

func (d desk) write(files map[string]string) {
	d.t.Helper()
	for name, text := range files {
		file := filepath.Join(d.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			d.t.Fatal(err)
		}
	}
}

// run runs the working tree, with what is typed, as root or as nobody.
func (d desk) run(typed string, root bool, args ...string) (int, string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tmp := d.t.TempDir()
	cmd := exec.CommandContext(ctx, binary(d.t, "conveyor"), append([]string{"run"}, args...)...)
	cmd.Dir, cmd.Stdin = d.dir, strings.NewReader(typed)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "TMPDIR=" + tmp}
	cmd.Env = append(cmd.Env, d.env...)
	if !root {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		for dir := tmp; dir != filepath.Dir(os.TempDir()); dir = filepath.Dir(dir) {
			if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&1 == 0 {
				must(0, os.Chmod(dir, info.Mode().Perm()|0o011))(d.t)
			}
		}
		must(0, os.Chmod(tmp, 0o777))(d.t)
		cmd.Path = filepath.Join(filepath.Dir(tmp), "conveyor-of-nobody") // the checkout may lie where nobody can go
		if _, err := os.Stat(cmd.Path); err != nil {
			must(0, os.WriteFile(cmd.Path, must(os.ReadFile(binary(d.t, "conveyor")))(d.t), 0o755))(d.t)
		}
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		d.t.Fatal(err)
	}
	if left := must(os.ReadDir(tmp))(d.t); len(left) != 0 {
		d.t.Errorf("%s is left", left[0])
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

var stepDigest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// digest is what a run says of a step in its last lines.
func digest(t *testing.T, said, step, outcome string) string {
	t.Helper()
	for line := range strings.Lines(said) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == step && f[1] == outcome {
			return f[2]
		}
	}
	t.Fatalf("nothing says that %s is %s:\n%s", step, outcome, said)
	return ""
}

func TestALaptopNamesEachStepAndArtifactAsTheServerDoes(t *testing.T) {
	t.Parallel()
	h := open(t)
	files := withSites("one")
	first := h.push("main", "author", "first", files)
	h.concluded(first, "conveyor / test")
	h.deployed("staging", first)
	h.quiet()
	var page string
	h.gh.Look(func(v *github.View) {
		run, _ := v.CheckRun(repo, first, "conveyor / test")
		page = h.page(strings.TrimPrefix(run.DetailsURL, h.config.PublicURL))
	})

	d := newDesk(t, files)
	d.write(map[string]string{".gitignore": "secret\n"})
	// A file that is not committed changes the tree, an ignored one does not.
	if code, said := d.run("", true); code != 0 || strings.Contains(page, digest(t, said, "unit", "passed")) {
		t.Errorf("%d: %s", code, said)
	}
	must(0, os.Remove(filepath.Join(d.dir, ".gitignore")))(t)
	d.write(map[string]string{".git/info/exclude": "secret\n", "secret": "s3cret"})
	code, said := d.run("", true)
	if code != 0 || !strings.Contains(said, "Isolation: ns") {
		t.Fatalf("%d: %s", code, said)
	}
	of := stepDigest.FindAllString(said, -1)
	if len(of) != 2 || of[0] != digest(t, said, "unit", "passed") {
		t.Fatalf("%v: %s", of, said)
	}
	for _, digest := range of {
		if !strings.Contains(page, digest) {
			t.Errorf("the server's page does not show %s:\n%s", digest, said)
		}
	}
}

func TestALaptopRunsOneStepAndOpensAShellWhereItFailed(t *testing.T) {
	t.Parallel()
	d := newDesk(t, plan("echo one >made.txt\nexit 3\n", "  - name: later", "    steps:", "      - {name: last, run: echo never}"))
	code, said := d.run("pwd\ncat made.txt\necho step is $CONVEYOR_STEP\nexit\n", true, "--shell")
	shows(t, "the shell", said, "A shell in the workspace of unit", "/workspace", "one\n", "step is unit", "✗ unit failed: exit code 3")
	digest(t, strings.ReplaceAll(said, "not run", "not-run "+strings.Repeat("x", 3)), "last", "not-run")
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	if code, said := d.run("", true, "last"); code != 0 || !strings.Contains(said, "last │ never") || strings.Contains(said, "unit") {
		t.Errorf("%d: %s", code, said)
	}
	if code, said := d.run("", true, "nowhere"); code == 0 || !strings.Contains(said, "it has test, later, unit, last") {
		t.Errorf("%d: %s", code, said)
	}
	d.write(map[string]string{".github/conveyor.yml": "version: 1\nstagez: []\n"})
	if code, said := d.run("", true); code != 1 || !strings.Contains(said, ".github/conveyor.yml:2:1") {
		t.Errorf("%d: %s", code, said)
	}
}

func TestALaptopTakesSecretsFromItsOwnVariablesAndUsesNoCache(t *testing.T) {
	t.Parallel()
	d := newDesk(t, plan("cat \"$CONVEYOR_SECRETS_DIR/NPM_TOKEN\"; test -z \"$OTHER\"; mkdir -p made; echo >made/x",
		"        secrets: {NPM_TOKEN: npm-token}", "        cache: {key: [README.md], paths: [made]}",
		"      - {name: without, run: 'test ! -e /run/secrets/GONE', secrets: {GONE: {optional: true}}}"))
	code, said := d.run("", true)
	shows(t, "a run without the variable", said, "✗ unit failed: it needs the secret npm-token", "your variable NPM_TOKEN, which is not set", "✓ without passed")
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	d.env = []string{"NPM_TOKEN=correct-horse-battery", "OTHER=is not given"}
	code, said = d.run("", true)
	shows(t, "a run with it", said, "✓ unit passed", "cache: not used", "***")
	if code != 0 || strings.Contains(said, "correct-horse") {
		t.Errorf("exit code %d:\n%s", code, said)
	}
	d.env[0] = "NPM_TOKEN=x"
	if code, said = d.run("", true, "unit"); code != 1 || !strings.Contains(said, "your variable NPM_TOKEN cannot be used: it is too short") {
		t.Errorf("exit code %d:\n%s", code, said)
	}
}

// Whatever a plan may ask of the server it may ask of a laptop.
func TestALaptopDoesAllThatAPlanCanAskFor(t *testing.T) {
	t.Parallel()
	d := newDesk(t, map[string]string{
		"README.md": "shop\n", "web/page.html": "hello\n",
		"buildspec.yml": `version: 0.2
phases: {build: {commands: ['mkdir -p dist', 'cp README.md dist/']}}
artifacts: {files: ['**/*'], base-directory: dist}
batch:
  build-graph:
    - identifier: one
    - {identifier: two, depend-on: [one]}
`,
		".github/conveyor.yml": `version: 1
timeout: 1h
on: {push: {branches: [main]}}
stages:
  - name: test
    if: event == "push"
    steps:
      - name: reported
        run: |
          printf '<testsuite><testcase classname="a" name="b"/></testsuite>' >j.xml
          printf 'SF:README.md\nDA:1,1\nend_of_record\n' >l.info
          printf '{"version":"2.1.0","runs":[]}' >s.sarif
          echo version=7 >>"$CONVEYOR_OUTPUT"
        reports: {junit: j.xml, lcov: l.info, sarif: s.sarif}
      - {name: each, run: 'cat page.html; test $MATRIX_A != 3', matrix: {a: [1, 2]}, dir: web, shell: sh, resources: {memory: 64M}}
      - {name: again, run: 'test "$CONVEYOR_ATTEMPT" = 2', retries: 1}
      - {name: may, run: exit 4, allow_failure: true}
      - {name: built, buildspec: buildspec.yml, artifact: {name: site}}
  - name: then
    steps:
      - {name: taken, run: 'test "$V" = 7', needs: [reported, built], env: {V: {from: steps.reported.outputs.version}}}
      - {name: never, run: exit 5, if: failure()}
      - {name: asked, run: 'true', if: '"web/page.html" in changed && steps.reported.outputs.version == "7"'}
      - {name: wrong, run: 'true', if: 'steps.may.outputs.nothing == "x"', allow_failure: true}
`,
	})
	code, said := d.run("", true)
	for step, outcome := range map[string]string{"reported": "passed", "built-one": "passed", "built-two": "passed", "taken": "passed", "asked": "passed", "again": "passed"} {
		digest(t, said, step, outcome)
	}
	shows(t, "the run", said, "each (a 1)", "each (a 2)", "✗ may failed: exit code 4", "site-two")
	for _, not := range []string{"▶ never", "▶ wrong", "infrastructure"} {
		if strings.Contains(said, not) {
			t.Errorf("it says %q", not)
		}
	}
	if code != 0 || t.Failed() {
		t.Errorf("exit code %d:\n%s", code, said)
	}
	for name, want := range map[string]string{"each": "✓ each (a 2) passed", "taken": "✗ taken failed", "never": "✗ never failed: exit code 5"} {
		if _, said := d.run("", true, name); !strings.Contains(said, want) {
			t.Errorf("of %s alone it does not say %q:\n%s", name, want, said)
		}
	}
}

func TestAUserWhoIsNotRootHasAShutInStepAndIsToldWhatDoesNotLimitIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t, plan("id -u; if [ -e /root ]; then echo seen; else echo hidden; fi"))
	for dir := d.dir; dir != filepath.Dir(os.TempDir()); dir = filepath.Dir(dir) {
		info := must(os.Stat(dir))(t)
		must(0, os.Chmod(dir, info.Mode().Perm()|0o055))(t)
	}
	code, said := d.run("", false)
	shows(t, "the run", said, "Isolation: ns, by crun", "without limits of memory and processors", "sudo", "unit │ 1000", "unit │ hidden")
	if code != 0 {
		t.Errorf("exit code %d: %s", code, said)
	}
	if code, said := d.run("", false, "--sandbox", "runc"); code == 0 || !strings.Contains(said, "--sandbox none") || !strings.Contains(said, "install crun") {
		t.Errorf("%d: %s", code, said)
	}
	code, said = d.run("", false, "--sandbox", "none")
	if shows(t, "the run without a sandbox", said, "Isolation: none, by plain processes", "unit │ 65534", "unit │ seen"); code != 0 {
		t.Errorf("exit code %d: %s", code, said)
	}
}

func TestALaptopRunsOnePipelineByItsNameAndWithItsInputs(t *testing.T) {
	t.Parallel()
	d := newDesk(t, byHand())
	for want, args := range map[string][]string{
		"the input level must be one of low, high":                       {"-p", "release", "--input", "level=loud"},
		"there is no pipeline relaese; there are: conveyor, release":     {"-p", "relaese"},
		"the pipeline conveyor takes no inputs":                          {"--input", "level=low"},
		"the pipeline release cannot be run: the input level is missing": {"-p", "release"},
	} {
		if code, out := d.run("", true, args...); code != 1 || !strings.Contains(out, want) {
			t.Errorf("%q: %d: %s\nwant %s", args, code, out, want)
		}
	}
	code, out := d.run("", true, "-p", "release", "--input", "level=high", "--input", "note=a;b")
	if code != 0 || !strings.Contains(out, "level=high dry=true note=a;b") {
		t.Errorf("%d: %s", code, out)
	}
	if code, out := d.run("", true); code != 0 || !strings.Contains(out, "unit") {
		t.Errorf("the usual pipeline: %d: %s", code, out)
	}
}
