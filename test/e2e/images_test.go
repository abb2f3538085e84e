package e2e

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/conveyor-ci/conveyor/app"
	"github.com/conveyor-ci/conveyor/pipeline"
	"github.com/conveyor-ci/conveyor/test/github"
	"github.com/conveyor-ci/conveyor/test/images"
)

// imagePlan is a plan of two stages that run the same script in an image.
func imagePlan(name, script string) map[string]string {
	stage := func(n string) string {
		return "  - name: " + n + "\n    steps:\n      - name: unit-" + n + "\n        image: " + name + "\n        run: |\n          " + script + "\n"
	}
	return map[string]string{".github/conveyor.yml": "version: 1\non: {push: {branches: [main]}, pull_request: {}}\nstages:\n" + stage("test") + stage("build")}
}

// trusting lets a server ask a registry on the loopback.
func trusting(reg *images.Server) func(*house) {
	return func(h *house) { h.config.ImageRegistries = []string{reg.Host} }
}

// below is what a page or log below a run's own has.
func (h *house) below(run github.CheckRun, path string) string {
	return h.page(strings.TrimPrefix(run.DetailsURL, h.config.PublicURL) + path)
}

// version is an image in which a program says which one it is.
func version(t *testing.T, which string) images.Entry {
	t.Helper()
	return images.Entry{Name: "etc/which", Text: which + "\n"}
}

func TestAllStepsOfARunHaveTheImageThatItsTagWasWhenItBegan(t *testing.T) {
	t.Parallel()
	var reg *images.Server
	var move sync.Once
	tools := images.FromHost(t, images.Tools...)
	next := images.Image(t, nil, tools, images.Layer(t, version(t, "the next one")))
	reg = images.Serve(t, func(registry http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			registry.ServeHTTP(w, r)
			if strings.HasPrefix(r.UserAgent(), "conveyor ") && strings.HasSuffix(r.URL.Path, "/manifests/20") {
				move.Do(func() { reg.Push("octo/tools:20", next) }) // as soon as it was looked up, the tag moves
			}
		})
	})
	name, digest := reg.Push("octo/tools:20", images.Image(t, []string{"PATH=/bin", "OF=the image"}, tools, images.Layer(t, version(t, "the first one"))))
	h := open(t, trusting(reg))
	sha := h.push("main", "author", "in an image", imagePlan(name, `echo "saw $(cat /etc/which), $OF"`))
	for _, stage := range []string{"test", "build"} {
		run := h.concluded(sha, "conveyor / "+stage)
		if run.Conclusion != "success" {
			t.Fatalf("%s: %s\n%s", run.Conclusion, run.Title, run.Summary)
		}
		log := h.below(run, "/log/unit-"+stage+"/1")
		if !strings.Contains(log, "saw the first one, the image") || !strings.Contains(log, digest) || strings.Contains(log, "pulling") != (stage == "test") {
			t.Errorf("the log of %s:\n%s", stage, log)
		}
		if page := h.below(run, ""); !strings.Contains(page, name+" is "+digest) {
			t.Errorf("the run's page does not show the digest %s", digest)
		}
	}
	again := h.push("main", "author", "again", imagePlan(name, `grep "next one" /etc/which`))
	if run := h.concluded(again, "conveyor / build"); run.Conclusion != "success" {
		t.Errorf("the next run: %s\n%s", run.Title, run.Summary)
	}
}

func TestAnImageThatDoesNotExistIsThePlansFaultAndIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	reg := images.Serve(t)
	h := open(t, trusting(reg))
	run := h.concluded(h.push("main", "author", "missing", imagePlan(reg.Host+"/octo/mising:7", "true")), "conveyor / test")
	if run.Conclusion != "failure" || !strings.Contains(run.Title+run.Summary+run.Text, "octo/mising:7") {
		t.Errorf("%s: %s\n%s\n%s", run.Conclusion, run.Title, run.Summary, run.Text)
	}
	if log := h.below(run, "/log/unit-test/1"); !strings.Contains(log, "there is no such image") {
		t.Errorf("the log:\n%s", log)
	}
	h.quiet()
	if events := h.eventsOf(run); events["step_lost"] > 0 || events["step_started"] != 1 {
		t.Errorf("%v", events)
	}
}

func TestARegistryThatIsDownIsTriedAgain(t *testing.T) {
	t.Parallel()
	var down atomic.Int64
	reg := images.Serve(t, func(registry http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") && down.Add(1) <= 5 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			registry.ServeHTTP(w, r)
		})
	})
	name, _ := reg.Push("octo/tools:20", images.Image(t, nil, images.FromHost(t, images.Tools...)))
	h := open(t, trusting(reg))
	run := h.concluded(h.push("main", "author", "down", imagePlan(name, "true")), "conveyor / build")
	if run.Conclusion != "success" {
		t.Errorf("%s: %s\n%s", run.Conclusion, run.Title, run.Summary)
	}
	h.quiet()
	if events := h.eventsOf(run); events["step_lost"] != 1 || events["image_resolved"] != 1 {
		t.Errorf("%v", events)
	}
}

func TestWithoutAShellOrWithImagesOffTheCheckSaysSo(t *testing.T) {
	t.Parallel()
	for says, c := range map[string]struct {
		layer  images.Entry
		change func(*app.Config)
	}{
		"has no shell at /bin/sh":       {images.Entry{Name: "app", Text: "x"}, func(*app.Config) {}},
		"CONVEYOR_IMAGES is off":        {images.Entry{Name: "app", Text: "x"}, func(c *app.Config) { c.Images = "off" }},
		"CONVEYOR_IMAGE_MAX_BYTES":      {images.Entry{Name: "app", Text: strings.Repeat("x", 2000)}, func(c *app.Config) { c.ImageMaxBytes = 1000 }},
		"CONVEYOR_IMAGE_REGISTRIES":     {images.Entry{Name: "app", Text: "x"}, func(c *app.Config) { c.ImageRegistries = []string{"ghcr.io"} }},
		"no sandbox that can mount one": {images.Entry{Name: "app", Text: "x"}, func(c *app.Config) { c.Sandbox = "none" }},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			reg := images.Serve(t)
			name, _ := reg.Push("octo/app:1", images.Image(t, nil, images.Layer(t, c.layer)))
			h := open(t, trusting(reg), func(h *house) { c.change(&h.config) })
			run := h.concluded(h.push("main", "author", "app", imagePlan(name, "true")), "conveyor / test")
			if run.Conclusion != "failure" || !strings.Contains(run.Title+run.Summary+run.Text, says) {
				t.Errorf("%s: %s\n%s\n%s", run.Conclusion, run.Title, run.Summary, run.Text)
			}
		})
	}
}

func TestImagesAreKeptOverARestart(t *testing.T) {
	t.Parallel()
	reg := images.Serve(t)
	name, digest := reg.Push("octo/tools:20", images.Image(t, nil, images.FromHost(t, images.Tools...)))
	h := open(t, trusting(reg))
	pinned := strings.TrimSuffix(name, ":20") + "@" + digest
	if run := h.concluded(h.push("main", "author", "first", imagePlan(pinned, "true")), "conveyor / build"); run.Conclusion != "success" {
		t.Fatalf("%s: %s", run.Title, run.Summary)
	}
	h.stop()
	h.config.ImageRegistries = []string{reg.Host} // and the registry is asked for nothing
	h.start()
	run := h.concluded(h.push("main", "author", "second", imagePlan(pinned, "echo again")), "conveyor / test")
	if log := h.below(run, "/log/unit-test/1"); run.Conclusion != "success" || strings.Contains(log, "pulling") {
		t.Errorf("%s: %s\n%s", run.Conclusion, run.Title, log)
	}
	if kept, err := filepath.Glob(filepath.Join(h.config.DataDir, "images", "layers", "*", "fs")); err != nil || len(kept) != 1 {
		t.Errorf("%q, %v", kept, err)
	}
}

// eventsOf counts the records of a check's run by their kinds.
func (h *house) eventsOf(run github.CheckRun) map[string]int {
	h.t.Helper()
	stream, _, _ := strings.Cut(run.ExternalID, " ")
	h.stop()
	ctx := context.Background()
	j := h.journal()
	defer func() {
		if err := j.Close(); err != nil {
			h.t.Error(err)
		}
	}()
	counts := map[string]int{}
	for _, r := range must(j.Read(ctx, stream, 0))(h.t) {
		event := must(pipeline.Decode(r.Kind, r.Data))(h.t)
		if event != nil {
			counts[event.Kind()]++
		}
	}
	return counts
}
