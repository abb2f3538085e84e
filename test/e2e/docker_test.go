package e2e

import (
	"strings"
	"testing"

	"github.com/conveyor-ci/conveyor/test/dockerd"
	"github.com/conveyor-ci/conveyor/test/images"
)

// inDocker lets a server run its steps in an engine of this test's own.
func inDocker(t *testing.T, reg *images.Server) func(*house) {
	t.Helper()
	engine, err := dockerd.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Stop(); err != nil {
			t.Error(err)
		}
	})
	return func(h *house) {
		h.config.Sandbox, h.config.DockerHost = "docker", engine.Host()
		trusting(reg)(h)
	}
}

func TestStepsRunInContainersOfADockerEngine(t *testing.T) {
	t.Parallel()
	reg := images.Serve(t)
	tools := images.FromHost(t, images.Tools...)
	name, digest := reg.Push("octo/tools:20", images.Image(t, []string{"OF=the image"}, tools, images.Layer(t, version(t, "the plan's"))))
	usual, _ := reg.Push("octo/usual:1", images.Image(t, nil, tools, images.Layer(t, version(t, "the operator's"))))
	h := open(t, inDocker(t, reg))
	plan := imagePlan(name, `echo "saw $(cat /etc/which), $OF"; cat .github/conveyor.yml >/dev/null; echo made >made`)
	sha := h.push("main", "author", "in a container", plan)
	for _, stage := range []string{"test", "build"} {
		run := h.concluded(sha, "conveyor / "+stage)
		if run.Conclusion != "success" {
			t.Fatalf("%s: %s\n%s", run.Conclusion, run.Title, run.Summary)
		}
		log := h.below(run, "/log/unit-"+stage+"/1")
		if !strings.Contains(log, "saw the plan's, the image") || !strings.Contains(log, digest) || strings.Contains(log, "pulling") != (stage == "test") {
			t.Errorf("the log of %s:\n%s", stage, log)
		}
	}

	none := map[string]string{".github/conveyor.yml": strings.ReplaceAll(plan[".github/conveyor.yml"], "        image: "+name+"\n", "")}
	run := h.concluded(h.push("main", "author", "in nothing", none), "conveyor / test")
	if run.Conclusion != "failure" || !strings.Contains(run.Summary+run.Text, "CONVEYOR_DOCKER_IMAGE") {
		t.Errorf("a step without an image: %s: %s\n%s", run.Conclusion, run.Title, run.Summary)
	}
	h.stop()
	h.config.DockerImage = usual
	h.start()
	run = h.concluded(h.push("main", "author", "in the usual one", none), "conveyor / build")
	if log := h.below(run, "/log/unit-build/1"); run.Conclusion != "success" || !strings.Contains(log, "saw the operator's") {
		t.Errorf("%s: %s\n%s", run.Conclusion, run.Title, log)
	}
}

func TestAServiceRunsInADockerEngineToo(t *testing.T) {
	t.Parallel()
	reg := images.Serve(t)
	name, _ := reg.Push("octo/redis:7", redisImage(t))
	h := open(t, inDocker(t, reg), func(h *house) { h.config.DockerImage = name })
	run := h.concluded(h.push("main", "author", "with redis", servicePlan("{image: "+name+", ready: {port: 6379}}",
		`redis-cli -h cache set cart 3 && echo "the cart has $(redis-cli -h cache get cart), as $(redis-cli -h cache config get appendonly | tail -1)"`)), "conveyor / test")
	log := h.below(run, "/log/unit/1")
	if run.Conclusion != "success" || !strings.Contains(log, "the cart has 3, as yes") || !strings.Contains(log, "cache │ ") {
		t.Errorf("%s: %s\n%s\n%s", run.Conclusion, run.Title, run.Summary, log)
	}
}
