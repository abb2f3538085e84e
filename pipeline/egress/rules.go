package egress

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Rule allows one host, or the hosts below a name, on one port.
type Rule struct {
	Methods []string // only these, and so only where they can be seen: over plain HTTP. Empty: all
	Host    string   // "example.com"; "*.example.com" stands for every name below it, not for itself
	Port    int      // 0: 443 and 80
}

// ParseRule reads "host", "*.host", "host:port", or any of them after methods: "GET,HEAD deb.debian.org:80".
func ParseRule(text string) (r Rule, err error) {
	f := strings.Fields(text)
	switch len(f) {
	case 1:
	case 2:
		for m := range strings.SplitSeq(f[0], ",") {
			if m == "" || strings.ToUpper(m) != m || strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
				return r, fmt.Errorf("%q: %q is no HTTP method: write GET,HEAD", text, m)
			}
			r.Methods = append(r.Methods, m)
		}
	default:
		return r, fmt.Errorf("%q: write a host, host:port, or GET,HEAD host", text)
	}
	r.Host = strings.ToLower(f[len(f)-1])
	if host, port, err := net.SplitHostPort(r.Host); err == nil {
		if r.Port, err = strconv.Atoi(port); err != nil || r.Port < 1 || r.Port > 65535 {
			return r, fmt.Errorf("%q: %q is no port", text, port)
		}
		r.Host = host
	}
	name := strings.TrimPrefix(r.Host, "*.")
	if !isName(name) || (name != r.Host && !strings.Contains(name, ".")) {
		return r, fmt.Errorf("%q: %q is no host name: write example.com or *.example.com, without https:// and without a path", text, r.Host)
	}
	return r, nil
}

func isName(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return net.ParseIP(name) == nil || strings.Count(name, ".") == 3 // an address of version 4 may be named
}

// allows says whether the rule lets a request pass. An empty method is a tunnel, in which no method can be seen.
func (r Rule) allows(method, host string, port int) bool {
	if r.Port != port && (r.Port != 0 || (port != 443 && port != 80)) {
		return false
	}
	if len(r.Methods) > 0 && !slices.Contains(r.Methods, method) {
		return false
	}
	if below, ok := strings.CutPrefix(r.Host, "*"); ok {
		return strings.HasSuffix(host, below)
	}
	return host == r.Host
}

// Registries are where the usual package managers get what they install: the list for operators who name none.
func Registries() []Rule {
	hosts := []string{
		"proxy.golang.org", "sum.golang.org", "storage.googleapis.com", // Go
		"registry.npmjs.org", "registry.yarnpkg.com", "nodejs.org", // Node
		"pypi.org", "files.pythonhosted.org", // Python
		"index.crates.io", "static.crates.io", "crates.io", // Rust
		"repo.maven.apache.org", "repo1.maven.org", "plugins.gradle.org", "services.gradle.org", // Java
		"rubygems.org", "index.rubygems.org", // Ruby
		"repo.packagist.org", "packagist.org", "api.nuget.org", // PHP, .NET
		"github.com", "codeload.github.com", "objects.githubusercontent.com", "raw.githubusercontent.com",
		"release-assets.githubusercontent.com",
	}
	rules := make([]Rule, 0, len(hosts)+2)
	for _, host := range hosts {
		rules = append(rules, Rule{Host: host, Port: 443})
	}
	read := []string{"GET", "HEAD"}
	return append(rules, Rule{Methods: read, Host: "deb.debian.org", Port: 80}, Rule{Methods: read, Host: "archive.ubuntu.com", Port: 80},
		Rule{Host: "deb.debian.org", Port: 443}, Rule{Methods: read, Host: "security.ubuntu.com", Port: 80})
}
