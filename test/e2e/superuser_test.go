package e2e

import (
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/images"
)

func TestOnlyCodeOfPeopleWhoMayWriteIsRootInAnImage(t *testing.T) {
	t.Parallel()
	reg := images.Serve(t)
	name, _ := reg.Push("octo/tools:1", images.Image(t, nil, images.FromHost(t, images.Tools...)))
	h := open(t, trusting(reg))
	files := map[string]string{".github/conveyor.yml": "version: 1\non: {push: {branches: [main]}, pull_request: {outside: [test]}}\nstages:\n  - name: test\n    steps:\n" +
		"      - name: unit\n        image: " + name + "\n        user: root\n        run: echo installed >/usr/installed && id -u && cat /usr/installed\n"}
	run := h.concluded(h.push("main", "author", "first", files), "conveyor / test")
	if log := h.logOf("unit"); run.Conclusion != "success" || !strings.HasSuffix(log, "0\ninstalled\n") {
		t.Errorf("%s: %s\n%s", run.Conclusion, run.Title, log)
	}
	h.quiet()
	p := h.stranger(map[string]string{"README.md": "from outside\n"})
	run = h.concluded(p.HeadSHA, "conveyor / test")
	if run.Conclusion != "failure" || !strings.Contains(run.Title+run.Summary, "the step has user: root, which only code of people who may write has") {
		t.Errorf("%s: %s\n%s", run.Conclusion, run.Title, run.Summary)
	}
}
