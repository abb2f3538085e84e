package buildspec_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/buildspec"
)

// ran is what a buildspec has done in a folder of its own.
type ran struct {
	code   int
	log    string
	record buildspec.Record
	dir    string
}

// file reads a file that a run has left, empty when there is none.
func (r ran) file(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(data)
}

// run runs a buildspec by its script with the shell that sandboxes use, outside of any sandbox.
func run(t *testing.T, text string, env ...string) ran {
	t.Helper()
	s, found := buildspec.Parse("buildspec.yml", []byte(text))
	if len(found.Mistakes) > 0 {
		t.Fatalf("it does not parse: %v", found.Mistakes)
	}
	r := ran{dir: t.TempDir()}
	script := filepath.Join(t.TempDir(), "step")
	if err := os.WriteFile(script, []byte(buildspec.Script(s, nil)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/bash", "-e", "-o", "pipefail", script)
	cmd.Dir = r.dir
	cmd.Env = append([]string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}, env...)
	out, err := cmd.CombinedOutput()
	r.log, r.code = string(out), cmd.ProcessState.ExitCode()
	if err != nil && r.code < 0 {
		t.Fatal(err)
	}
	r.record, err = buildspec.ReadRecord(s, r.file(t, buildspec.ResultsDir+"/phases"))
	if err != nil {
		t.Fatalf("%v\n%s", err, r.log)
	}
	if failed := r.record.State.Failed; failed != (r.code != 0) {
		t.Fatalf("the record says failed: %v, and the exit code is %d\n%s", failed, r.code, r.log)
	}
	return r
}

// printed are the lines of the log that commands have printed.
func (r ran) printed() (lines []string) {
	for line := range strings.Lines(r.log) {
		if !strings.HasPrefix(line, "[Container]") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

func want(t *testing.T, r ran, code int, printed ...string) {
	t.Helper()
	if got := strings.Join(r.printed(), "|"); got != strings.Join(printed, "|") || r.code != code {
		t.Errorf("exit code %d, want %d; printed\n%s\nwant\n%s\nall of it:\n%s", r.code, code, got, strings.Join(printed, "|"), r.log)
	}
}

func TestVariablesAndTheFolderStayFromCommandToCommand(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"/bin/sh", "bash"} {
		r := run(t, `
version: 0.2
env:
  shell: `+shell+`
  variables: {A: "$PATH:/x", N: 010, Q: it's}
phases:
  install:
    commands:
      - mkdir deep && cd deep
      - B=$(echo two) # without export, as in AWS's own samples
      - greet() { echo "hello $1"; }
  build:
    commands:
      - pwd | sed 's,.*/,,'
      - sh -c 'echo "$A $N $Q $B"'
      - greet world
`)
		want(t, r, 0, "deep", "$PATH:/x 010 it's two", "hello world")
	}
}

func TestACommandThatEndsTheShellEndsOnlyItself(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"/bin/sh", "bash"} {
		r := run(t, `
version: 0.2
env: {shell: `+shell+`}
phases:
  pre_build:
    commands:
      - X=kept; cd /
      - exit 0
      - echo "after exit $X $(pwd)"
      - exec echo replaced
      - set -e; true
      - false; echo errexit is not kept
      - break
      - set -u; IFS=/
      - echo "$UNSET none"
  build:
    commands:
      - echo build; cd /tmp; exit 3
      - echo never
    finally:
      - echo "finally in $(pwd)"
      - exit 4
      - echo nor this
  post_build:
    commands:
      - echo "succeeding $CODEBUILD_BUILD_SUCCEEDING $X"
`)
		want(t, r, 3, "after exit kept /", "replaced", "errexit is not kept", " none", "build", "finally in /", "succeeding 0 kept")
		if why := r.record.Why(); why != "BUILD failed: exit status 3 of echo build; cd /tmp; exit 3" {
			t.Error(why)
		}
	}
}

func TestAMistakeInTheSyntaxOfACommandFailsOnlyThatCommand(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"/bin/sh", "bash"} {
		r := run(t, `
version: 0.2
env: {shell: `+shell+`}
phases:
  build: {commands: ["if then"]}
  post_build: {commands: [echo after it]}
`)
		if !strings.Contains(r.log, "\nafter it\n") || r.code == 0 {
			t.Errorf("%s: exit code %d\n%s", shell, r.code, r.log)
		}
	}
}

func TestTheShellOfTheBuildIsTheOneThatItAsksFor(t *testing.T) {
	t.Parallel()
	const text = "version: 0.2\nenv: {shell: SHELL}\nphases: {build: {commands: ['if [ -n \"$BASH_VERSION\" ]; then [[ a == a ]] && echo bash; else echo sh; fi']}}\n"
	want(t, run(t, strings.ReplaceAll(text, "SHELL", "bash")), 0, "bash")
	if r := run(t, strings.ReplaceAll(text, "SHELL", "/bin/sh")); r.code != 0 {
		t.Error(r.log)
	}
}

func TestOfVersionZeroOneEachCommandHasAShellOfItsOwn(t *testing.T) {
	t.Parallel()
	r := run(t, `
version: 0.1
env: {variables: {GIVEN: given}}
phases:
  build:
    commands:
      - mkdir sub && cd sub && export X=1
      - echo "$(test -d sub && echo top) ${X-gone} $GIVEN"
      - exit 5
`)
	want(t, r, 5, "top gone given")
}

func TestAPhaseIsTriedAgainAsOftenAsItSays(t *testing.T) {
	t.Parallel()
	const count = "echo x >> n; wc -l < n | tr -d ' '"
	for on, tries := range map[string]int{"RETRY": 4, "RETRY-0": 1, "RETRY-1": 2, "RETRY-.*no such luck.*": 4, "RETRY-1-no (such|good) luck$": 2, "RETRY-5-other words": 1, `RETRY-1-exit status \d$`: 2} {
		r := run(t, "version: 0.2\nphases:\n  build:\n    on-failure: '"+on+"'\n    commands: ['echo x >> n', 'echo no such luck; exit 9']\n    finally: [echo finally]\n  post_build: {commands: [echo post]}\n")
		if got := strings.Count(r.file(t, "n"), "x"); got != tries || r.code != 9 || strings.Count(r.log, "\nfinally\n") != tries || strings.Count(r.log, "\npost\n") != 1 {
			t.Errorf("%s: %d tries, want %d\n%s", on, got, tries, r.log)
		}
		if got := len(r.record.Tries); got != tries+3 {
			t.Errorf("%s: %d tries are recorded", on, got)
		}
	}
	r := run(t, "version: 0.2\nphases:\n  install:\n    on-failure: RETRY-2\n    commands: [\""+count+"\", 'test $(wc -l < n) = 3']\n  build: {commands: ['echo $CODEBUILD_BUILD_SUCCEEDING']}\n")
	want(t, r, 0, "1", "2", "3", "1")
}

func TestABackgroundProcessDoesNotHoldUpAPhaseThatListens(t *testing.T) {
	t.Parallel()
	r := run(t, "version: 0.2\nphases: {build: {on-failure: RETRY-1-nothing, commands: [sleep 60 &, kill $!, echo end]}}\n")
	want(t, r, 0, "end")
}

func TestNothingOfACommandIsReadByTheScriptItself(t *testing.T) {
	t.Parallel()
	r := run(t, `
version: 0.2
env:
  variables: {V: "'; echo broken out; '", W: "$(echo run) `+"`echo run`"+`"}
phases:
  build:
    commands:
      - |
        cat <<'END'
        it's $V `+"`x`"+` \\ "quoted"
        END
      - printf '%s\n' "$V" "$W"
`)
	if r.log = strings.Replace(r.log, "\nit's", "\n[Container]", 1); true { // the command is told before it is run
		r.log = strings.Replace(r.log, "END\n\n", "", 1)
	}
	want(t, r, 0, "it's $V `x` \\\\ \"quoted\"", "'; echo broken out; '", "$(echo run) `echo run`")
}

func TestWhatIsLeftOfTheRunIsTheRecordAndWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	r := run(t, `
version: 0.2
env: {exported-variables: [TAG, NONE]}
phases:
  build:
    commands:
      - TAG="$(printf 'a\nb')"; APP=shop; mkdir sub; cd sub
      - ls -A ..
artifacts:
  name: x-$(date +%Y)
  files: [$APP.json, "a \"b\" $(echo 'c d')", plain]
`)
	want(t, r, 0, "sub")
	dir := buildspec.ResultsDir + "/"
	for name, want := range map[string]string{"exported.TAG": "a\nb", "exported.NONE": "", "word.2": "shop.json\n", "word.3": "a \"b\" c d\n", "word.4": ""} {
		if got := r.file(t, dir+name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	if year := r.file(t, dir+"word.0"); !strings.HasPrefix(year, "x-20") {
		t.Errorf("the name is %q", year)
	}
}
