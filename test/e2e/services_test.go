package e2e

import (
	"archive/tar"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/conveyor-ci/conveyor/test/images"
)

// redisImage is the Redis of this machine as an image has it: a user and a folder of its own, an entrypoint and a command.
func redisImage(t *testing.T) v1.Image {
	t.Helper()
	files := images.Layer(t, images.Entry{Name: "etc/passwd", Text: "root:x:0:0:root:/root:/bin/sh\nredis:x:999:999::/data:/bin/sh\n"},
		images.Entry{Name: "data/", Header: func(h *tar.Header) { h.Uid, h.Gid = 999, 999 }})
	img := images.Image(t, []string{"PATH=/bin"}, images.FromHost(t, append([]string{"redis-server", "redis-cli"}, images.Tools...)...), files)
	return images.Runs(t, img, func(c *v1.Config) {
		c.Entrypoint, c.Cmd, c.User, c.WorkingDir = []string{"redis-server"}, []string{"--appendonly", "yes"}, "redis", "/data"
	})
}

func servicePlan(service, run string) map[string]string {
	return map[string]string{".github/conveyor.yml": "version: 1\non: {push: {branches: [main]}}\nstages:\n  - name: test\n    steps:\n      - name: unit\n        run: |\n          " +
		run + "\n        services:\n          cache: " + service + "\n"}
}

func TestAStepTalksToARedisThatRunsBesideIt(t *testing.T) {
	t.Parallel()
	reg := images.Serve(t)
	name, digest := reg.Push("octo/redis:7", redisImage(t))
	h := open(t, trusting(reg))
	const talk = `redis-cli -h cache set cart 3 && echo "the cart has $(redis-cli -h cache get cart), kept in $(redis-cli -h cache config get dir | tail -1), as $(redis-cli -h cache config get appendonly | tail -1)"`
	for ready, want := range map[string]string{
		"{image: " + name + ", ready: {port: 6379}}":                                                 "the cart has 3, kept in /data, as yes",
		"{image: " + name + ", command: [--save, ''], ready: {command: redis-cli ping | grep PONG}}": "the cart has 3, kept in /data, as no",
	} {
		run := h.concluded(h.push("main", "author", "with redis", servicePlan(ready, talk)), "conveyor / test")
		log := h.below(run, "/log/unit/1")
		if run.Conclusion != "success" || !strings.Contains(log, want) {
			t.Errorf("%s: %s\n%s\n%s", run.Conclusion, run.Title, run.Summary, log)
		}
		if !strings.Contains(log, "cache │ ") || !strings.Contains(log, "eady to accept connections") {
			t.Errorf("what the service says is not in the log:\n%s", log)
		}
		if page := h.below(run, ""); !strings.Contains(page, name+" is "+digest) {
			t.Errorf("the run's page does not show the digest %s", digest)
		}
	}
}

func TestAServiceThatDoesNotGetReadyIsThePlansFaultAndIsNamed(t *testing.T) {
	t.Parallel()
	reg := images.Serve(t)
	name, _ := reg.Push("octo/redis:7", redisImage(t))
	h := open(t, trusting(reg))
	for service, want := range map[string]string{
		"{image: " + name + ", ready: {port: 6380, timeout: 1s}}":                    "the service cache was not ready within 1s: nothing listened on its port 6380",
		"{image: " + name + ", command: [--no-such-option, x], ready: {port: 6379}}": "the service cache ended before it was ready: exit code 1",
		"{image: " + name + ", user: nobody, ready: {port: 6379}}":                   "the service cache cannot be started: its image has no user",
	} {
		run := h.concluded(h.push("main", "author", "broken", servicePlan(service, "echo it begins")), "conveyor / test")
		log := h.below(run, "/log/unit/1")
		if run.Conclusion != "failure" || !strings.Contains(run.Title+run.Summary+run.Text, want) || !strings.Contains(log, want) || strings.Contains(log, "it begins") {
			t.Errorf("want %q; %s: %s\n%s\n%s\n%s", want, run.Conclusion, run.Title, run.Summary, run.Text, log)
		}
		h.quiet()
		if events := h.eventsOf(run); events["step_lost"] > 0 || events["step_started"] != 1 {
			t.Errorf("%v", events)
		}
		h.start()
	}
}

func TestAServerWithoutASandboxSaysThatItRunsNoServices(t *testing.T) {
	t.Parallel()
	h := open(t, func(h *house) { h.config.Sandbox = "none" })
	run := h.concluded(h.push("main", "author", "none", servicePlan("{image: redis:7, ready: {port: 6379}}", "true")), "conveyor / test")
	if said := run.Title + run.Summary + run.Text; run.Conclusion != "failure" || !strings.Contains(said, "no service can run beside a step without a sandbox") {
		t.Errorf("%s: %s", run.Conclusion, said)
	}
}

func TestALaptopWithoutASandboxSaysThatItRunsNoServices(t *testing.T) {
	t.Parallel()
	d := newDesk(t, servicePlan("{image: redis:7, ready: {port: 6379}}", "echo it begins"))
	if code, out := d.run("", true, "--sandbox", "none"); code != 1 || !strings.Contains(out, "no service can run beside a step without a sandbox") || strings.Contains(out, "it begins") {
		t.Errorf("%d\n%s", code, out)
	}
}
