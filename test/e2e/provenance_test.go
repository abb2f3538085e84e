package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/pipeline/provenance"
)

func TestAnArtifactIsProvenOfflineByItsRunsProvenance(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.push("main", "author", "first", withSites("one"))
	run := h.concluded(first, "conveyor / test")
	h.deployed("staging", first)
	h.quiet()

	// All that is needed stands on the run's page, and beside the server's key.
	page := strings.TrimPrefix(run.DetailsURL, h.config.PublicURL)
	if !strings.Contains(h.page(page), page+"/artifact/site/provenance.sigstore.json") {
		t.Fatal("the run's page links to no provenance")
	}
	dir := t.TempDir()
	save := func(name string, data []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	signed := []byte(h.page(page + "/artifact/site/provenance.sigstore.json"))
	bundle, manifest := save("bundle", signed), save("manifest", []byte(h.page(page+"/artifact/site/manifest.json")))
	key := save("key.pub", must(os.ReadFile(filepath.Join(h.config.DataDir, "provenance.pub")))(t))
	wanted := []string{
		"verify", "--bundle", bundle, "--key", key, "--builder", h.config.PublicURL, "--repository", h.gh.URL() + "/" + repo, "--commit", first, "--step", "unit",
	}
	for _, what := range []string{manifest, must(filepath.EvalSymlinks(h.site("staging")))(t) + "/index.html"} {
		code, said := say(t, nil, "conveyor", append(wanted, what)...)
		if code != 0 || !strings.Contains(said, "T2 writer") || !strings.Contains(said, first) || !strings.Contains(said, "run/") {
			t.Errorf("%s: %d: %s", what, code, said)
		}
	}
	claim := must(provenance.Verify(signed, must(provenance.PublicKeys(must(os.ReadFile(key))(t)))(t)))(t)
	if code, said := say(t, nil, "conveyor", append(wanted, "--trust", "writer", "--run", string(claim.Run), "--plan", string(claim.Plan), string(claim.Digest))...); code != 0 {
		t.Errorf("%d: %s", code, said)
	}

	for name, args := range map[string][]string{
		"another file":       append(wanted, save("evil", []byte("two"))),
		"another commit":     append(wanted, "--commit", strings.Repeat("0", 40), manifest),
		"another repository": append(wanted, "--repository", h.gh.URL()+"/octo/shop2", manifest),
		"another builder":    append(wanted, "--builder", "https://conveyor.example.com", manifest),
		"another run":        append(wanted, "--run", string(claim.Run)+"x", manifest),
		"another bundle":     append(wanted, "--bundle", save("torn", bytes.Replace(signed, []byte("v0.3"), []byte("v0.2"), 1)), manifest),
		"another key":        append(wanted, "--key", foreignKey(t), manifest),
		"nothing there":      append(wanted, filepath.Join(dir, "missing")),
	} {
		if code, said := say(t, nil, "conveyor", args...); code == 0 || strings.Contains(said, "T2 writer") {
			t.Errorf("%s: %d: %s", name, code, said)
		}
	}
}

func foreignKey(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "foreign.key")
	must(provenance.Open(file))(t)
	return provenance.PublicFile(file)
}

func TestAProtectedEnvironmentStaysShutWithoutAProvenanceThatCounts(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	pull := h.talk()
	h.quiet()
	h.stop()

	// The old key is revoked: it is gone from the public file, too.
	for _, name := range []string{"provenance.key", "provenance.pub"} {
		if err := os.Rename(filepath.Join(h.config.DataDir, name), filepath.Join(h.config.DataDir, name+".revoked")); err != nil {
			t.Fatal(err)
		}
	}
	h.start()
	h.comment(pull, "maintainer", "/approve production@"+first[:10])
	h.answered(pull, "Approved")
	h.until("the gate to stay shut", func() bool { return strings.Contains(h.log.String(), "a gate stays shut") })
	h.quiet()
	h.comment(pull, "maintainer", "/why production")
	h.answered(pull, "signed with a key that is not trusted here")
	if _, err := os.Stat(h.site("production")); err == nil {
		t.Error("it was deployed all the same")
	}

	// What is built under the new key gets in.
	second := h.push("main", "author", "second", map[string]string{"page.html": "two"})
	h.deployed("staging", second)
	h.comment(pull, "maintainer", "/approve production@"+second[:10])
	h.deployed("production", second)
	h.ends()
}
