package app

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/conveyor-ci/conveyor/pipeline/artifact/dir"
	"github.com/conveyor-ci/conveyor/pipeline/artifact/s3"
)

// openArtifacts opens where artifacts are kept: a bucket, where there is one, else the data folder.
func (a *App) openArtifacts(ctx context.Context) error {
	c := a.config.ArtifactsS3
	if c.Bucket == "" {
		store, err := dir.Open(filepath.Join(a.config.DataDir, "artifacts"), a.log)
		if err != nil {
			return fmt.Errorf("app: the artifact store cannot be opened: %w", err)
		}
		a.artifacts = store
		a.closers = append(a.closers, store.Close)
		return nil
	}
	address, err := url.Parse(c.Endpoint)
	if err != nil {
		return fmt.Errorf("app: CONVEYOR_ARTIFACTS_S3_ENDPOINT: %w", err) // it was checked
	}
	store, err := s3.Open(ctx, s3.Options{
		Endpoint: address.Host, Insecure: address.Scheme == "http", Bucket: c.Bucket, Prefix: c.Prefix, Region: c.Region,
		KeyID: c.KeyID, Secret: c.Secret.Reveal(), Now: a.clock,
	})
	if err != nil {
		return fmt.Errorf("app: the artifact store cannot be opened: %w", err)
	}
	a.artifacts = store
	a.log.Info("artifacts are kept in a bucket", "endpoint", c.Endpoint, "bucket", c.Bucket, "prefix", c.Prefix)
	return nil
}
