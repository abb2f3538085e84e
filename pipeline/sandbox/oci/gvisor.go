package oci

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// own are the places that are mounted below the root of a step, once more: gVisor takes all that it finds there as part of
// the root, which is read-only, unless it is told of each. Folders lie in the workspace and the home folder, and come with them.
func (s *Sandbox) own(g *group) (mounts []specs.Mount) {
	show := func(at, mode string) {
		mounts = append(mounts, specs.Mount{Destination: at, Type: "bind", Source: s.host.stage + rootDir + at, Options: []string{"rbind", mode, "nosuid", "nodev"}})
	}
	show("/tmp", "rw")
	show(homeDir, "rw")
	show(workDir, "rw")
	show(secretsDir, "ro")
	if g.c.version == 2 {
		show("/sys/fs/cgroup", "ro")
		return mounts
	}
	for _, name := range needed {
		show("/sys/fs/cgroup/"+name, "ro")
	}
	return mounts
}
