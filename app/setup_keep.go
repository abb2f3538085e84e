package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/conveyor-ci/conveyor/app/github"
)

// What the set-up keeps stands in three files: the key, the webhook secret, and last of all the App itself. Whoever finds
// the last one finds all of them.

// keptApp is app.json: nothing in it is secret.
type keptApp struct {
	AppID    int64  `json:"app_id"`
	Slug     string `json:"slug"`
	URL      string `json:"url"`
	ClientID string `json:"client_id"`
	GitHub   string `json:"github"`
}

// keep knows where the three files are.
type keep struct{ key, secret, app string }

func (c Config) keep() keep {
	dir := filepath.Join(c.DataDir, "app")
	k := keep{key: c.PrivateKeyFile, secret: c.WebhookSecretFile, app: filepath.Join(dir, "app.json")}
	if k.key == "" {
		k.key = filepath.Join(dir, "private-key.pem")
	}
	if k.secret == "" {
		k.secret = filepath.Join(dir, "webhook-secret")
	}
	return k
}

// Recall fills in what an earlier set-up has kept. Settings win: each that is given stays, and when they name another App,
// nothing is filled in.
func Recall(c Config) (Config, error) {
	k := c.keep()
	data, err := os.ReadFile(k.app)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("app: what the set-up has kept cannot be read: %w", err)
	}
	var a keptApp
	if err := json.Unmarshal(data, &a); err != nil || a.AppID <= 0 {
		return c, fmt.Errorf("app: %s is damaged; name the App with CONVEYOR_APP_ID, or remove the file to set it up anew", k.app)
	}
	if c.AppID != 0 && c.AppID != a.AppID {
		return c, nil
	}
	if a.GitHub != strings.TrimSuffix(c.GitHubURL, "/") {
		return c, fmt.Errorf("app: the App in %s is one of %s, and CONVEYOR_GITHUB_URL is %s; set that back, or name another App with CONVEYOR_APP_ID", k.app, a.GitHub, c.GitHubURL)
	}
	c.AppID = a.AppID
	if c.PrivateKey.Reveal() == "" {
		data, err := os.ReadFile(k.key)
		if err != nil {
			return c, fmt.Errorf("app: the App's key cannot be read: %w; make a new one on the App's page %s, and put it there", err, a.URL)
		}
		c.PrivateKey = github.NewSecret(string(data))
	}
	if len(c.WebhookSecrets) == 0 {
		data, err := os.ReadFile(k.secret)
		if err != nil {
			return c, fmt.Errorf("app: the webhook secret cannot be read: %w; set a new one on the App's page %s, and put it there", err, a.URL)
		}
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); line != "" {
				c.WebhookSecrets = append(c.WebhookSecrets, github.NewSecret(line))
			}
		}
	}
	return c, nil
}

// halfway says what a set-up that was cut off has left: a key without its App.
func (k keep) halfway() string {
	if _, err := os.Stat(k.key); err != nil {
		return ""
	}
	return fmt.Sprintf("An earlier set-up was cut off: `%s` holds the key of an App whose number is not known. Delete that App at GitHub; its key is replaced.", k.key)
}

// try finds out whether the files can be written, before there is a key to lose.
func (k keep) try() error {
	for _, path := range []string{k.key, k.secret, k.app} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("app: the set-up cannot keep a key: %w", err)
		}
		f, err := os.CreateTemp(filepath.Dir(path), ".try-")
		if err != nil {
			return fmt.Errorf("app: the set-up cannot keep a key: %w", err)
		}
		if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
			return fmt.Errorf("app: the set-up cannot keep a key: %w", err)
		}
	}
	return nil
}

// save keeps a new App: the key before anything else, for GitHub gives it once.
func (k keep) save(c github.Credentials, githubURL string) error {
	app, err := json.MarshalIndent(keptApp{AppID: c.AppID, Slug: c.Slug, URL: c.HTMLURL, ClientID: c.ClientID, GitHub: strings.TrimSuffix(githubURL, "/")}, "", "  ")
	if err != nil {
		return fmt.Errorf("app: %w", err)
	}
	for _, file := range []struct {
		path string
		data []byte
	}{
		{k.key, []byte(c.PEM.Reveal())},
		{k.secret, []byte(c.WebhookSecret.Reveal() + "\n")},
		{k.app, append(app, '\n')},
	} {
		if err := writePrivate(file.path, file.data); err != nil {
			return fmt.Errorf("the App was made, and %s could not be written: %w; put that right, delete the App at GitHub, and begin again", file.path, err)
		}
	}
	return nil
}

// writePrivate makes a file appear whole, readable by its owner only, and stay over a power cut.
func writePrivate(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil // it stands there; only a power cut could take it
	}
	return errors.Join(d.Sync(), d.Close())
}
