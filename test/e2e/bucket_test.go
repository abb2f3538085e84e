package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/conveyor-ci/conveyor/app"
	appgithub "github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/test/s3server"
)

func TestArtifactsInABucketGoAllTheWay(t *testing.T) {
	t.Parallel()
	server := s3server.Start(t)
	h := open(t, func(h *house) {
		h.config.ArtifactsS3 = app.S3{
			Endpoint: "http://" + server.Endpoint, Bucket: s3server.Bucket, Prefix: "conveyor", Region: "us-east-1", KeyID: s3server.KeyID, Secret: appgithub.NewSecret(s3server.Secret),
		}
	})
	first := h.push("main", "author", "first", withSites("one"))
	h.deployed("staging", first)
	h.comment(h.talk(), "maintainer", "/approve production@"+first[:10])
	h.deployed("production", first)
	if page := string(must(os.ReadFile(filepath.Join(h.site("production"), "index.html")))(t)); page != "one" {
		t.Errorf("production shows %q", page)
	}
	if objects := must(filepath.Glob(filepath.Join(server.Dir, s3server.Bucket, "conveyor", "pack", "*")))(t); len(objects) < 2 {
		t.Errorf("the bucket holds %d packs", len(objects))
	}
	if _, err := os.Stat(filepath.Join(h.config.DataDir, "artifacts")); err == nil {
		t.Error("artifacts are in the data folder, too")
	}
	h.ends()
}
