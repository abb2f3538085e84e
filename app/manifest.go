package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/conveyor-ci/conveyor"
	"github.com/conveyor-ci/conveyor/handlers/setup"
)

// manifest is manifest.yml: what the App is registered with, and what the doctor holds it against.
type manifest struct {
	Name        string            `yaml:"name" json:"name"`
	Description string            `yaml:"description" json:"description"`
	Public      bool              `yaml:"public" json:"public"`
	Permissions map[string]string `yaml:"default_permissions" json:"default_permissions"`
	Events      []string          `yaml:"default_events" json:"default_events"`
}

var asked = sync.OnceValue(func() (m manifest) {
	if err := yaml.Unmarshal(conveyor.Manifest, &m); err != nil {
		panic(err) // it is part of the binary
	}
	return m
})

// scanning is the permission that only a server needs that passes analyses on.
const scanning = "security_events"

// wanted is what this server asks for.
func (c Config) wanted() manifest {
	m := asked()
	if c.CodeScanning {
		m.Permissions = maps.Clone(m.Permissions)
		m.Permissions[scanning] = "write"
	}
	return m
}

// manifestFor is the manifest as GitHub takes it, for this server. A secret is not part of it: GitHub makes one.
//
// https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
func manifestFor(c Config, name string) (string, error) {
	public, m := c.PublicURL, c.wanted()
	m.Name = name
	base := strings.TrimSuffix(public, "/")
	data, err := json.Marshal(struct {
		manifest
		URL      string `json:"url"`
		Hook     any    `json:"hook_attributes"`
		Redirect string `json:"redirect_url"`
		Setup    string `json:"setup_url"`
	}{m, base, map[string]any{"url": hookURL(public), "active": true}, base + "/setup/callback", base + "/setup/installed"})
	if err != nil {
		return "", fmt.Errorf("app: the manifest: %w", err)
	}
	return string(data), nil
}

// hookURL is where GitHub must send webhooks.
func hookURL(public string) string { return strings.TrimSuffix(public, "/") + "/webhooks/github" }

// proposedName is a name that is likely to be free: no two Apps at one GitHub have the same.
func proposedName(public string) string {
	name := asked().Name
	if u, err := url.Parse(public); err == nil && u.Hostname() != "" && len(name)+1+len(u.Hostname()) <= 34 {
		return name + " " + u.Hostname()
	}
	return name
}

var reasonForm = regexp.MustCompile(`(?m)^  ([a-z_]+): [a-z]+ +# (.+)$`)

// askedFor is the manifest for people, with the reasons that stand in it.
func (c Config) askedFor() setup.Asked {
	m := c.wanted()
	reasons := map[string]string{scanning: "pass analyses on to code scanning, as CONVEYOR_CODE_SCANNING says"}
	for _, found := range reasonForm.FindAllStringSubmatch(string(conveyor.Manifest), -1) {
		reasons[found[1]] = found[2]
	}
	a := setup.Asked{Events: m.Events}
	for name, level := range m.Permissions {
		a.Permissions = append(a.Permissions, setup.Permission{Name: name, Level: level, Why: reasons[name]})
	}
	slices.SortFunc(a.Permissions, func(x, y setup.Permission) int { return strings.Compare(x.Name, y.Name) })
	return a
}
