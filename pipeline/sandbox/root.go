package sandbox

import (
	"fmt"
	"strings"
)

// Root is the file system of an image that lies on this machine: what a step sees, read-only, in place of the tools of the
// host. What the sandbox sets up itself (the workspace, /tmp, the home folder, /proc and /dev) stands in it all the same.
type Root struct {
	Name   string   // as the plan calls it, for messages
	Layers []string // folders of this machine, the lowest first; owned and marked as overlayfs takes them as lower ones
	Env    []string // "NAME=value", as the image sets it; the image decides on PATH and LD_*
	Ref    string   // "name@sha256:…", for adapters that keep images themselves: they have no layers, and know the variables
}

// usualPath is where programs are when an image does not say it.
const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func (r *Root) check() error {
	if r == nil {
		return nil
	}
	for _, layer := range r.Layers {
		if layer == "" || layer[0] != '/' {
			return fmt.Errorf("the layer %q of the image %s is no absolute path", layer, r.Name)
		}
	}
	return nil
}

// environ adds what the image sets. It decides where programs are and which language they speak; what the sandbox sets
// beside that (places, and the way out) stays as it is.
func (r *Root) environ(set []string) []string {
	if r == nil {
		return set
	}
	own := map[string]bool{}
	for i, e := range set {
		name, _, _ := strings.Cut(e, "=")
		own[name] = name != "PATH" && name != "LANG"
		if name == "PATH" {
			set[i] = "PATH=" + usualPath
		}
	}
	for _, e := range r.Env {
		if name, value, ok := strings.Cut(e, "="); ok && !own[name] && (name != "PATH" || value != "") {
			set = append(set, e)
		}
	}
	return set
}
