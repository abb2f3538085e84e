package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/pipeline/artifact"
	artifactdir "github.com/conveyor-ci/conveyor/pipeline/artifact/dir"
	"github.com/conveyor-ci/conveyor/test/github"
)

// The canaries of this story: a secret of builds, and one of a place.
const (
	buildCanary = "canary-Build+4711/x"
	placeCanary = "canary-Place+0815/y"
)

// everyForm are the words that give a canary away, plain and as tools encode it.
func everyForm(word string) []string {
	return []string{word, base64Of(word), fmt.Sprintf("%x", word), strings.NewReplacer("+", "%2B", "/", "%2F").Replace(word)}
}

// base64Of is what all encodings of a text that begins with the word have in common.
func base64Of(word string) string {
	return base64.RawStdEncoding.EncodeToString([]byte(word[:len(word)/3*3]))
}

// secrets runs `conveyor secrets` on the house's data, as its operator does, with a value at its standard input.
func (h *house) secrets(value string, args ...string) string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(h.t, "conveyor"), append([]string{"secrets"}, args...)...)
	c := h.config
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "CONVEYOR_DATA_DIR=" + c.DataDir, "CONVEYOR_PUBLIC_URL=" + c.PublicURL, "CONVEYOR_GITHUB_URL=" + c.GitHubURL,
		"CONVEYOR_GITHUB_API_URL=" + c.GitHubAPIURL, fmt.Sprintf("CONVEYOR_APP_ID=%d", c.AppID),
		"CONVEYOR_PRIVATE_KEY=" + c.PrivateKey.Reveal(), "CONVEYOR_WEBHOOK_SECRET=" + c.WebhookSecrets[0].Reveal(),
		"CONVEYOR_SECRETS_KEY_FILE=" + c.SecretsKeyFile,
	}
	cmd.Stdin = strings.NewReader(value)
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("conveyor secrets %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// wire keeps all that a house says to its GitHub.
type wire struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (w *wire) listen(h *house) {
	inner := h.github.Wrap
	h.github.Wrap = func(next http.Handler) http.Handler {
		next = inner(next)
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			var body bytes.Buffer
			_, _ = body.ReadFrom(http.MaxBytesReader(rw, r.Body, 32<<20)) // what cannot be read is refused by who needs it
			_ = r.Body.Close()
			w.mu.Lock()
			fmt.Fprintf(&w.said, "%s %s %v\n%s\n", r.Method, r.URL, r.Header, body.Bytes())
			w.mu.Unlock()
			r.Body = readCloser{bytes.NewReader(body.Bytes())}
			next.ServeHTTP(rw, r)
		})
	}
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// withSecrets is a plan that uses secrets in all the ways there are, and says them in all the ways it can.
func withSecrets() map[string]string {
	return map[string]string{
		".github/conveyor.yml": `version: 1
on: {push: {branches: [main]}, pull_request: {}}
stages:
  - name: test
    steps:
      - name: unit
        run: sh use.sh
        secrets: {TOKEN: {from: build-token, as: env, optional: true}, KEY: {from: build-token, optional: true}}
        reports: {junit: report.xml}
        artifact: {name: site, paths: [dist/**]}
environments:
  production:
    on: {branch: main}
    artifact: site
    target: {exec: ship}
    secrets: {PLACE: {from: place-token}, BOTH: {from: build-token, as: env}}
`,
		"use.sh": `mkdir dist; echo "${TOKEN-none}" | md5sum >dist/index.html
echo "length of TOKEN ${#TOKEN}"
echo "value ${TOKEN-none}"; echo "${TOKEN-none}" | base64; printf '%s' "${TOKEN-none}" | od -An -tx1 | tr -d ' \n'; echo
echo "<testsuite><testcase name=\"leak ${TOKEN-none}\"><failure message=\"leak ${TOKEN-none}\">use.sh:1: leak ${TOKEN-none}</failure></testcase></testsuite>" >report.xml
env; ls -l "${CONVEYOR_SECRETS_DIR:-/run/secrets}" || true
cat /run/secrets/.variables /run/secrets/* 2>/dev/null || true
cat /proc/1/environ | tr '\0' '\n'
if [ -e hold ]; then rm report.xml; touch held; sleep 1000; fi
`,
		"README.md": "shop\n",
	}
}

const ship = `#!/bin/sh
PATH=/usr/bin:/bin
echo "place ${#BOTH} $(wc -c <"$CONVEYOR_SECRETS_DIR/PLACE")"
echo "leak $BOTH"; cat "$CONVEYOR_SECRETS_DIR/PLACE"
[ "$CONVEYOR_ENVIRONMENT" != production ] || [ ! -e "$CONVEYOR_ARTIFACT_DIR/fail" ] || { cat "$CONVEYOR_SECRETS_DIR/PLACE" >&2; exit 1; }
`

// silent wants none of the canaries in a text.
func (h *house) silent(where string, text []byte) {
	h.t.Helper()
	for name, canary := range map[string]string{"the build's secret": buildCanary, "the place's secret": placeCanary} {
		for i, form := range everyForm(canary) {
			if bytes.Contains(text, []byte(form)) {
				h.t.Errorf("%s shows %s (form %d)", where, name, i)
			}
		}
	}
}

// silentFiles scans every byte below a folder.
func (h *house) silentFiles(dir string) {
	h.t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		h.silent(strings.TrimPrefix(path, dir), data)
		return err
	})
	if err != nil {
		h.t.Error(err)
	}
}

// scripts gives the house a folder with the operator's script.
func scripts(h *house) []string {
	dir := h.t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ship"), []byte(ship), 0o755); err != nil {
		h.t.Fatal(err)
	}
	return []string{"CONVEYOR_EXEC_DIR=" + dir}
}

func TestASecretReachesItsStepAndItsPlaceAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"a file", "Redis"} {
		t.Run(journal, func(t *testing.T) {
			t.Parallel()
			var heard wire
			change := []func(*house){heard.listen}
			var dump func() []byte
			if journal == "Redis" {
				store, there := inRedis(t)
				change = append(change, there)
				dump = func() []byte { return dumped(t, store.Socket()) }
			}
			h := found(t, change...)
			h.config.SecretsKeyFile = filepath.Join(t.TempDir(), "key")
			server := h.serve(append(scripts(h), "CONVEYOR_SECRETS_KEY_FILE="+h.config.SecretsKeyFile)...)

			// Set while the server runs, which is not told of it.
			out := h.secrets(buildCanary+"\n", "set", repo, "build-token")
			out += h.secrets(placeCanary, "set", repo, "place-token", "--environment", "production")
			out += h.secrets("", "list")
			shows(t, "the list", out, "build-token", "octo/shop", "deployments to production")
			h.silent("the command line", []byte(out))

			seen, looks := map[string]bool{}, 0
			ctx, enough := context.WithCancel(context.Background())
			defer enough()
			var watching sync.WaitGroup
			watching.Go(func() {
				look := time.NewTicker(2 * time.Millisecond)
				defer look.Stop()
				for ctx.Err() == nil {
					commandLines(server.cmd.Process.Pid, seen)
					looks++
					<-look.C
				}
			})
			first := h.push("main", "author", "first", withSecrets())
			run := h.concluded(first, "conveyor / test")
			if run.Conclusion != "success" {
				t.Fatalf("%s: %s\n%s", run.Conclusion, run.Title, run.Summary)
			}
			h.deployed("production", first)
			log := h.logOf("unit")
			shows(t, "the step's log", log, fmt.Sprintf("length of TOKEN %d", len(buildCanary)), "value ***", "TOKEN=***", " KEY")
			shows(t, "the deployment's log", h.deployLog(), fmt.Sprintf("place %d %d", len(buildCanary), len(placeCanary)), "leak ***")

			// A failure is told in the script's last words.
			second := h.push("main", "author", "second", map[string]string{"use.sh": strings.Replace(withSecrets()["use.sh"], "mkdir dist;", "mkdir dist; touch dist/fail;", 1)})
			h.wait("the failed deployment", func(v *github.View) bool {
				d := last(v, "production")
				return d.SHA == second && (d.State() == "failure" || d.State() == "error")
			})

			// Nobody has a secret on a stranger's behalf.
			pull := h.stranger(map[string]string{"README.md": "hello\n"})
			h.becomes(pull.HeadSHA, "conveyor / test", "action_required")
			h.comment(pull, "author", "/ok-to-test "+pull.HeadSHA)
			h.becomes(pull.HeadSHA, "conveyor / test", "success")
			outside := h.logOf("unit")
			shows(t, "the stranger's log", outside, "The secret build-token is left out: code from outside gets no secrets.", "length of TOKEN 0", "value none")
			if strings.Contains(outside, "***") || strings.Contains(outside, "CONVEYOR_SECRETS_DIR") {
				t.Errorf("the stranger's step was given something:\n%s", outside)
			}
			h.quiet()

			h.gh.Look(func(v *github.View) {
				for _, run := range v.CheckRuns(repo, "") {
					h.silent("a check", fmt.Appendf(nil, "%+v", run))
					h.silent("a run's page", []byte(h.page(strings.TrimPrefix(run.DetailsURL, h.config.PublicURL))))
				}
			})
			server.stop()
			enough()
			watching.Wait()
			if looks < 20 || len(seen) < 5 {
				t.Errorf("in %d looks %d command lines were seen", looks, len(seen))
			}
			for line := range seen {
				h.silent("a command line", []byte(line))
			}
			h.silent("the server's log", []byte(h.log.String()))
			h.silent("what GitHub heard", heard.said.Bytes())
			h.silentFiles(h.config.DataDir)
			h.silentFiles(h.github.Dir)
			if dump != nil {
				text := dump()
				if !bytes.Contains(text, []byte("step_started")) {
					t.Errorf("the dump of Redis holds no journal: %d bytes", len(text))
				}
				h.silent("Redis", text)
			}
			h.artifactsAreSilent()
		})
	}
}

func TestWhatIsLeftOfAKilledServerHoldsNoSecret(t *testing.T) {
	t.Parallel()
	h := found(t)
	server := h.serve()
	h.secrets(buildCanary, "set", repo, "build-token")
	files := withSecrets()
	files["hold"] = ""
	files[".github/conveyor.yml"], _, _ = strings.Cut(files[".github/conveyor.yml"], "environments:")
	h.push("main", "author", "first", files)
	h.until("the step to hold its secret", func() bool {
		held, _ := filepath.Glob(filepath.Join(h.config.DataDir, "source", "work", "*", "merged", "held"))
		return len(held) > 0
	})
	if where := holders(buildCanary); len(where) == 0 {
		t.Fatal("no process has the secret")
	}
	server.kill()
	h.until("its processes to be gone", func() bool { return len(holders(buildCanary)) == 0 })
	h.silentFiles(h.config.DataDir)
	if _, err := h.gh.Commit(repo, "main", "author", "second", map[string]string{"use.sh": "true\n"}); err != nil {
		t.Fatal(err)
	}
	h.serve().stop() // it takes away what is mounted
}

func TestAStepWithoutItsSecretFailsAndSaysHowToSetIt(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.secrets("this-is-for-production", "set", repo, "NPM_TOKEN", "--environment", "production") // and for no build
	files := plan("true", "        secrets: [NPM_TOKEN]")
	first := h.push("main", "author", "first", files)
	run := h.concluded(first, "conveyor / test")
	if run.Conclusion != "failure" {
		t.Errorf("it is %s", run.Conclusion)
	}
	shows(t, "the check", run.Summary, "NPM_TOKEN", "conveyor secrets set octo/shop NPM_TOKEN")

	h.secrets("now-it-is-there", "set", repo, "NPM_TOKEN")
	second := h.push("main", "author", "second", map[string]string{"README.md": "again\n"})
	if run := h.concluded(second, "conveyor / test"); run.Conclusion != "success" {
		t.Errorf("%s: %s", run.Conclusion, run.Summary)
	}
	pull := h.stranger(map[string]string{"README.md": "hello\n"})
	h.becomes(pull.HeadSHA, "conveyor / test", "action_required")
	h.comment(pull, "author", "/ok-to-test "+pull.HeadSHA)
	run = h.becomes(pull.HeadSHA, "conveyor / test", "failure")
	shows(t, "the stranger's check", run.Summary, "NPM_TOKEN", "code from outside gets no secrets", "optional: true")
	h.secrets("", "rotate")
	third := h.push("main", "author", "third", map[string]string{"README.md": "and again\n"})
	if run := h.concluded(third, "conveyor / test"); run.Conclusion != "success" {
		t.Errorf("after the rotation: %s: %s", run.Conclusion, run.Summary)
	}
}

// holders are the processes of this machine that have words in their environment or command line.
func holders(words string) (found []string) {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		for _, name := range []string{"environ", "cmdline"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil && bytes.Contains(text, []byte(words)) {
				found = append(found, dir)
			}
		}
	}
	return found
}

// logOf is the newest log of a step.
func (h *house) logOf(step string) string {
	h.t.Helper()
	all := must(filepath.Glob(filepath.Join(h.config.DataDir, "logs", "run", "*", "*", step, "*.log")))(h.t)
	return h.newest(all)
}

func (h *house) deployLog() string {
	h.t.Helper()
	return h.newest(must(filepath.Glob(filepath.Join(h.config.DataDir, "logs", "deploy", "*", "*", "*", "*.log")))(h.t))
}

func (h *house) newest(files []string) (text string) {
	h.t.Helper()
	var at time.Time
	for _, name := range files {
		if info := must(os.Stat(name))(h.t); info.ModTime().After(at) {
			at, text = info.ModTime(), string(must(os.ReadFile(name))(h.t))
		}
	}
	return text
}

// artifactsAreSilent lays out what was deployed, and scans it: the store itself is compressed.
func (h *house) artifactsAreSilent() {
	h.t.Helper()
	store := must(artifactdir.Open(filepath.Join(h.config.DataDir, "artifacts"), slog.New(slog.DiscardHandler)))(h.t)
	defer store.Close()
	deployed := 0
	h.gh.Look(func(v *github.View) {
		for _, d := range v.Deployments(repo, "production") {
			dir := h.t.TempDir()
			must(store.Extract(h.t.Context(), pipeline.Digest(d.Digest), filepath.Join(dir, "files"), artifact.Limits{}))(h.t)
			h.silentFiles(dir)
			deployed++
		}
	})
	if deployed == 0 {
		h.t.Error("nothing was deployed")
	}
}

// dumped is all that a Redis keeps, as it answers.
func dumped(t *testing.T, socket string) []byte {
	t.Helper()
	c := must(net.Dial("unix", socket))(t)
	defer c.Close()
	file := filepath.Join(filepath.Dir(socket), "dump.rdb")
	if _, err := c.Write([]byte("CONFIG SET rdbcompression no\r\nSAVE\r\n")); err != nil {
		t.Fatal(err)
	}
	var said []byte
	for bytes.Count(said, []byte("\r\n")) < 2 {
		part := make([]byte, 1024)
		n, err := c.Read(part)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, part[:n]...)
	}
	if !bytes.Equal(said, []byte("+OK\r\n+OK\r\n")) {
		t.Fatalf("%q", said)
	}
	return must(os.ReadFile(file))(t)
}
