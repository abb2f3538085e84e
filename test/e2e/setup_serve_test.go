package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/test/github"
)

// unregistered is a house that knows no App: what `conveyor serve` gets told of it.
func unregistered(t *testing.T) (h *house, env []string, key, secret string) {
	t.Helper()
	h = found(t)
	dir := t.TempDir()
	key, secret = filepath.Join(dir, "secrets", "app.pem"), filepath.Join(dir, "secrets", "webhook")
	c := h.config
	return h, []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "CONVEYOR_LISTEN=" + c.Listen, "CONVEYOR_PUBLIC_URL=" + c.PublicURL,
		"CONVEYOR_DATA_DIR=" + filepath.Join(dir, "data"), "CONVEYOR_GITHUB_URL=" + c.GitHubURL, "CONVEYOR_GITHUB_API_URL=" + c.GitHubAPIURL,
		"CONVEYOR_PRIVATE_KEY_FILE=" + key, "CONVEYOR_WEBHOOK_SECRET_FILE=" + secret, "CONVEYOR_WORKERS=2",
	}, key, secret
}

// begin starts `conveyor serve`, waits for the line that it is to print, or until it is ready, and returns the line. What it
// prints else goes to the house's log.
func begin(h *house, env []string, prints bool) (line string, end func() *os.ProcessState) {
	h.t.Helper()
	cmd := exec.Command(binary(h.t, "conveyor"), "serve")
	cmd.Env, cmd.Stderr = env, h.log
	out, in, err := os.Pipe()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd.Stdout = in
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	_ = in.Close() // the child has its own
	first := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		r := bufio.NewReader(out)
		text, _ := r.ReadString('\n') // none when it needs no set-up
		first <- text
		_, _ = io.Copy(h.log, r)
		_ = out.Close()
	}()
	end = func() *os.ProcessState {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
		_ = cmd.Wait()                          // how it ended is asked of its state
		<-read
		return cmd.ProcessState
	}
	if prints {
		return <-first, end // or none, when it has ended
	}
	h.until("the server to be ready", func() bool {
		res, err := http.Get(h.config.PublicURL + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close() // its status says it
		return res.StatusCode == http.StatusOK
	})
	select {
	case line = <-first:
	default:
	}
	return line, end
}

var (
	linkForm = regexp.MustCompile(`http://\S+/setup\?token=\S+`)
	formForm = regexp.MustCompile(`(?s)<form action="([^"]+)" method="post">\s*<input type="hidden" name="manifest" value="([^"]+)">`)
)

func page(t *testing.T, client *http.Client, address string) (int, string) {
	t.Helper()
	res, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// hammer asks the server without a pause, over connections that are kept and over new ones, until calm is called. Nobody is
// to be cut off: a webhook is refused with a reason, by one server or by the other.
func (h *house) hammer() (calm func()) {
	h.t.Helper()
	end := make(chan struct{})
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: n%2 == 0}}
			for {
				select {
				case <-end:
					return
				default:
				}
				res, err := client.Post(h.config.PublicURL+"/webhooks/github", "application/json", strings.NewReader("{}"))
				if err != nil {
					h.t.Errorf("a connection was cut: %v", err)
					return
				}
				_, err = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close() // it was read to its end
				if err != nil || res.StatusCode != http.StatusServiceUnavailable && res.StatusCode != http.StatusUnauthorized {
					h.t.Errorf("a webhook without a signature: %s %v", res.Status, err)
				}
			}
		})
	}
	var once sync.Once
	calm = func() {
		once.Do(func() { close(end) })
		all.Wait()
	}
	h.t.Cleanup(calm)
	return calm
}

func TestServeWithoutAnAppSetsItselfUpAndHandsTheKeyToTheSecretsFiles(t *testing.T) {
	t.Parallel()
	h, env, key, secret := unregistered(t)
	line, end := begin(h, env, true)
	link := linkForm.FindString(line)
	if link == "" || strings.Count(line, "\n") != 1 {
		t.Fatalf("it prints no link: %q", line)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}
	if code, text := page(t, client, h.config.PublicURL+"/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "there is no App yet") {
		t.Errorf("/readyz before: %d %s", code, text)
	}
	if code, _ := page(t, client, link); code != http.StatusOK {
		t.Fatalf("the link: %d", code)
	}
	_, text := page(t, client, h.config.PublicURL+"/setup/review?name=Second&organization=octo")
	form := formForm.FindStringSubmatch(text)
	if form == nil {
		t.Fatalf("no form:\n%s", text)
	}
	manifest := map[string]any{}
	if err := json.Unmarshal([]byte(html.UnescapeString(form[2])), &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest["name"] != "Second" || manifest["redirect_url"] != h.config.PublicURL+"/setup/callback" || manifest["public"] != false {
		t.Errorf("the manifest: %v", manifest)
	}
	calm := h.hammer()
	res, err := client.PostForm(html.UnescapeString(form[1]), url.Values{"manifest": {html.UnescapeString(form[2])}})
	if err != nil {
		t.Fatalf("the page after the App is made: %v", err)
	}
	_ = res.Body.Close() // where it has led says it
	if res.StatusCode != http.StatusOK || res.Request.URL.Path != "/setup" {
		t.Fatalf("GitHub leads back to %s: %s", res.Request.URL, res.Status)
	}
	h.until("the server to be ready", func() bool {
		code, _ := page(t, client, h.config.PublicURL+"/readyz")
		return code == http.StatusOK
	})
	calm()
	for _, path := range []string{key, secret} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", path, info, err)
		}
	}
	if state := end(); !state.Success() {
		t.Errorf("it ended with %s", state)
	}

	// The next start needs no set-up, and opens no page.
	line, end = begin(h, env, false)
	defer end()
	if line != "" {
		t.Errorf("it prints again: %q", line)
	}
	if code, _ := page(t, client, h.config.PublicURL+"/setup"); code != http.StatusNotFound {
		t.Errorf("the set-up page after a restart: %d", code)
	}
	must(h.gh.InstallApp("second", "octo"))(t)
	must(h.gh.Commit(repo, "main", "author", "The plan", plan("true")))(t)
	h.gh.Protect(repo, "main", github.Protection{Checks: []github.RequiredCheck{{Name: "conveyor / test", App: "second"}}})
	code, out := say(t, env, "conveyor", "doctor", "--json")
	var all []app.Finding
	if err := json.Unmarshal([]byte(out), &all); err != nil || code != 0 || len(all) < 12 {
		t.Errorf("the doctor: %d %v\n%s", code, err, out)
	}
	for _, f := range all {
		if f.Level == app.Failed || f.Level == app.Unknown {
			t.Errorf("%+v", f)
		}
	}
	end()
	code, out = say(t, env, "conveyor", "doctor")
	if code != 1 || !strings.Contains(out, "FAILED   Server: Nothing answers on "+h.config.Listen) || !strings.Contains(out, "→ Start `conveyor serve`") {
		t.Errorf("the doctor of a server that is down: %d\n%s", code, out)
	}
	for _, hidden := range []string{key, secret} {
		data, err := os.ReadFile(hidden)
		if err != nil {
			t.Fatal(err)
		}
		if words := strings.Split(strings.TrimSpace(string(data)), "\n"); strings.Contains(h.log.String()+out, words[len(words)/2]) {
			t.Errorf("what is in %s was printed", hidden)
		}
	}
}

func TestAServerThatIsBeingSetUpStopsWhenItIsTold(t *testing.T) {
	t.Parallel()
	h, env, _, _ := unregistered(t)
	first, end := begin(h, env, true)
	if state := end(); !state.Success() {
		t.Errorf("it ended with %s", state)
	}
	second, end := begin(h, env, true)
	end()
	if a, b := linkForm.FindString(first), linkForm.FindString(second); a == "" || a == b {
		t.Errorf("the second start prints %q after %q", b, a)
	}
}

func TestSettingsWinOverWhatTheSetUpHasKept(t *testing.T) {
	t.Parallel()
	h, env, _, _ := unregistered(t)
	data := ""
	for _, v := range env {
		if name, value, _ := strings.Cut(v, "="); name == "CONVEYOR_DATA_DIR" {
			data = value
		}
	}
	if err := os.MkdirAll(filepath.Join(data, "app"), 0o700); err != nil {
		t.Fatal(err)
	}
	kept := fmt.Sprintf(`{"app_id":4711,"slug":"kept","url":"http://x","github":%q}`, h.config.GitHubURL)
	if err := os.WriteFile(filepath.Join(data, "app", "app.json"), []byte(kept), 0o600); err != nil {
		t.Fatal(err)
	}
	c := h.config
	c.DataDir = data
	if got, err := app.Recall(c); err != nil || got.AppID != h.config.AppID || got.PrivateKey != h.config.PrivateKey {
		t.Errorf("another App was taken up: %d %v", got.AppID, err)
	}
	c.AppID = 4711
	if got, err := app.Recall(c); err != nil || got.PrivateKey != h.config.PrivateKey || got.WebhookSecrets[0] != h.config.WebhookSecrets[0] {
		t.Errorf("the settings did not win: %v", err)
	}
	c = app.Config{DataDir: data, GitHubURL: "https://other.example.com"}
	if _, err := app.Recall(c); err == nil || !strings.Contains(err.Error(), "CONVEYOR_GITHUB_URL is https://other.example.com") {
		t.Errorf("an App of another GitHub: %v", err)
	}
	c.GitHubURL = h.config.GitHubURL
	if _, err := app.Recall(c); err == nil || !strings.Contains(err.Error(), "key cannot be read") {
		t.Errorf("a key that is gone: %v", err)
	}
}
