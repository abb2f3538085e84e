package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline"
)

// A registry on this machine, which the operator has opened, stands for those of the world.
func TestAStepReachesTheRegistryAndNothingElse(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = fmt.Fprintln(w, "a package")
	}))
	t.Cleanup(registry.Close)
	secret := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a server that is not on the list was reached") }))
	t.Cleanup(secret.Close)
	h := open(t, func(h *house) {
		h.config.Network = pipeline.ListedHosts
		h.config.EgressAllow = []string{strings.TrimPrefix(registry.URL, "http://")}
		h.config.EgressPrivate = []string{"127.0.0.0/8"}
	})
	ask := func(address string) string {
		return "exec 3<>/dev/tcp/127.0.0.1/3128; printf 'GET " + address + "/ HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3; exec 3>&-\n"
	}
	step := "test \"$https_proxy\" = http://127.0.0.1:3128\n" + ask(registry.URL) + ask(secret.URL)
	sha := h.push("main", "author", "a step that installs something", plan(step))
	if run := h.concluded(sha, "conveyor / test"); run.Conclusion != "success" {
		t.Fatalf("it ended as %s: %s", run.Conclusion, run.Summary)
	}
	h.quiet()
	log := h.newestLog()
	shows(t, "the log", log, "a package", "Conveyor refused the connection",
		fmt.Sprintf("network: %q was refused", strings.TrimPrefix(secret.URL, "http://")), "CONVEYOR_EGRESS_ALLOW",
		fmt.Sprintf("network: %q: ", strings.TrimPrefix(registry.URL, "http://")))
	if n := asked.Load(); n != 1 {
		t.Errorf("the registry was asked %d times", n)
	}

	// Whoever asks for none has none, and whoever asks for more than there is gets it said.
	none := "if (exec 3<>/dev/tcp/127.0.0.1/3128) 2>/dev/null; then exit 9; fi; test -z \"$https_proxy\"\n"
	sha = h.push("main", "author", "a step of its own", plan(none, "        network: none"))
	if run := h.concluded(sha, "conveyor / test"); run.Conclusion != "success" {
		t.Errorf("without a network it ended as %s: %s", run.Conclusion, run.Summary)
	}
	sha = h.push("main", "author", "a step that wants more", plan(ask(secret.URL), "        network: full"))
	h.concluded(sha, "conveyor / test")
	h.quiet()
	shows(t, "the log", h.newestLog(), "network: allowed, not full as the plan asks: the operator's CONVEYOR_NETWORK is allowed", "Conveyor refused the connection")
}

// newestLog is the log of the step that was begun last.
func (h *house) newestLog() string {
	h.t.Helper()
	newest, path := int64(0), ""
	for _, log := range h.stepLogs() {
		if info, err := os.Stat(log); err == nil && info.ModTime().UnixNano() >= newest {
			newest, path = info.ModTime().UnixNano(), log
		}
	}
	return string(must(os.ReadFile(path))(h.t))
}
