package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	appgithub "github.com/conveyor-ci/conveyor/app/github"
	"github.com/conveyor-ci/conveyor/test/github"
)

const (
	repoName = "octo/shop"
	owner    = "octo"
)

// company is everything that the story needs.
type company struct {
	o       options
	dir     string
	github  *github.Server
	sites   *webServer
	server  *server
	line    *timeline
	story   []chapter
	targets map[string]served
}

// found sets up the company: GitHub, its people and repository, the App, Conveyor, and a web server for the sites.
func found(ctx context.Context, o options) (_ *company, err error) {
	c := &company{o: o, line: newTimeline(os.Stdout), targets: map[string]served{}}
	if c.dir, err = os.MkdirTemp("", "conveyor-demo-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if c.github, err = github.Start(github.Options{Dir: filepath.Join(c.dir, "github"), HoldHooks: true}); err != nil {
		return nil, fmt.Errorf("start the local GitHub: %w", err)
	}
	data := filepath.Join(c.dir, "conveyor")
	if c.sites, err = serveSites(filepath.Join(data, "sites")); err != nil {
		return nil, err
	}
	c.github.AddUser("author")
	c.github.AddUser("reader")
	c.github.AddUser("maintainer")
	c.github.AddOrg(owner, "maintainer")
	if _, err := c.github.CreateRepo(owner, "shop", true); err != nil {
		return nil, err
	}
	for login, role := range map[string]string{"author": "write", "reader": "read", "maintainer": "maintain"} {
		if err := c.github.Grant(repoName, login, role); err != nil {
			return nil, err
		}
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	credentials, err := c.register(ctx, "http://"+address)
	if err != nil {
		return nil, fmt.Errorf("register the App: %w", err)
	}
	if _, err := c.github.InstallApp(credentials.Slug, owner, "shop"); err != nil {
		return nil, fmt.Errorf("install the App: %w", err)
	}
	c.server = newServer(c.o, address, data, c.github, credentials, c.line)
	if err := c.server.start(ctx); err != nil {
		return nil, err
	}
	c.github.ReleaseHooks(credentials.Slug, false) // from here on there is someone to hear them
	c.line.note("Local GitHub   %s", c.github.URL()+"/"+repoName)
	c.line.note("Conveyor       %s (process %d)", c.server.url, c.server.pid())
	c.line.note("Sites          %s", c.sites.url)
	return c, nil
}

// register makes the App as a browser would: post the manifest, follow the redirect, change the code into credentials.
func (c *company) register(ctx context.Context, public string) (appgithub.Credentials, error) {
	data, err := os.ReadFile(c.o.manifest)
	if err != nil {
		return appgithub.Credentials{}, err
	}
	manifest := map[string]any{}
	if err := yaml.Unmarshal(data, &manifest); err != nil {
		return appgithub.Credentials{}, err
	}
	manifest["url"] = public
	manifest["hook_attributes"] = map[string]any{"url": public + "/webhooks/github", "active": true}
	manifest["redirect_url"] = public + "/setup/callback"
	encoded, err := json.Marshal(manifest)
	if err != nil {
		return appgithub.Credentials{}, err
	}
	c.github.SignIn("maintainer")
	form := url.Values{"manifest": {string(encoded)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.github.URL()+"/organizations/"+owner+"/settings/apps/new?state=demo", strings.NewReader(form.Encode()))
	if err != nil {
		return appgithub.Credentials{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := browser.Do(req)
	if err != nil {
		return appgithub.Credentials{}, err
	}
	defer func() { _ = res.Body.Close() }() // only its address is of interest
	back, err := res.Location()
	if err != nil {
		return appgithub.Credentials{}, fmt.Errorf("GitHub answered %s and no redirect: %w", res.Status, err)
	}
	return appgithub.ConvertManifest(ctx, c.github.APIURL(), nil, back.Query().Get("code"))
}

// shopFiles reads the sample repository. The plan's addresses are filled in with where the sites are served.
func (c *company) shopFiles() (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(c.o.shop, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(c.o.shop, path)
		files[filepath.ToSlash(name)] = strings.ReplaceAll(string(data), "http://sites.localhost", c.sites.url)
		return err
	})
	return files, err
}

func (c *company) close() error {
	var all []error
	if c.server != nil {
		all = append(all, c.server.stop())
	}
	if c.sites != nil {
		all = append(all, c.sites.close())
	}
	if c.github != nil {
		all = append(all, c.github.Close())
	}
	return errors.Join(append(all, os.RemoveAll(c.dir))...)
}

// webServer stands for the web servers that a company has: it serves whatever the current release of each site is.
type webServer struct {
	url    string
	server *http.Server
	done   chan error
}

func serveSites(root string) (*webServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &webServer{url: "http://" + l.Addr().String(), done: make(chan error, 1)}
	w.server = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		// /staging/x is x of the release that staging runs; /preview/pr-1/x that of a preview.
		parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 2)
		if parts[0] == "preview" && len(parts) == 2 {
			pr, rest, _ := strings.Cut(parts[1], "/")
			parts = []string{"preview/" + pr, rest}
		}
		if len(parts) < 2 {
			http.NotFound(out, r)
			return
		}
		out.Header().Set("Cache-Control", "no-cache")
		current := filepath.Join(root, filepath.FromSlash(filepath.Clean("/"+parts[0])), "current")
		http.StripPrefix("/"+parts[0], http.FileServer(http.Dir(current))).ServeHTTP(out, r)
	})}
	go func() { w.done <- w.server.Serve(l) }()
	return w, nil
}

func (w *webServer) close() error {
	err := w.server.Close()
	<-w.done
	return err
}

// freeAddress finds a port that nobody uses at this moment.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
