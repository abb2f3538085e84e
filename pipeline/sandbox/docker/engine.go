package docker

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// usual is where the engine listens when nothing else is said.
const usual = "unix:///var/run/docker.sock"

// connect speaks to an engine on this machine. One that is elsewhere sees other folders than the server does, and is reached
// over a network on which whoever speaks to it is root there.
func connect(host string) (*client.Client, error) {
	if host == "" {
		host = usual
	}
	socket, ok := strings.CutPrefix(host, "unix://")
	if !ok || !path.IsAbs(socket) {
		return nil, fmt.Errorf("sandbox/docker: DOCKER_HOST is %q, and only an engine on this machine can be used: give unix:// and the path of its socket, or leave it out", withoutLogin(host))
	}
	c, err := client.New(client.WithHost(host), client.WithUserAgent("conveyor"))
	if err != nil {
		return nil, fmt.Errorf("sandbox/docker: %w", err)
	}
	return c, nil
}

func withoutLogin(host string) string {
	scheme, rest, ok := strings.Cut(host, "://")
	if at := strings.LastIndex(rest, "@"); ok && at >= 0 {
		return scheme + "://" + rest[at+1:]
	}
	return host
}

// about is what an engine says of itself.
type about struct {
	name, version, driver, cgroups, runtime string
	firstID                                 int // of its user namespace on this machine; 0 when it has none
}

func (a about) String() string {
	return fmt.Sprintf("%s %s (%s), %s, cgroup %s", a.name, a.version, a.runtime, a.driver, a.cgroups)
}

// ask learns what an engine is, and refuses one that cannot shut a step in.
func ask(ctx context.Context, c *client.Client) (a about, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	v, err := c.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return a, fmt.Errorf("sandbox/docker: the engine does not answer: %w; start it, or say with DOCKER_HOST where its socket is", err)
	}
	found, err := c.Info(ctx, client.InfoOptions{})
	if err != nil {
		return a, fmt.Errorf("sandbox/docker: ask what the engine is: %w", err)
	}
	info := found.Info
	a = about{name: "docker", version: v.Version, driver: info.Driver, cgroups: "v" + info.CgroupVersion, runtime: info.DefaultRuntime}
	for _, part := range v.Components {
		if strings.Contains(strings.ToLower(part.Name), "podman") {
			a.name = "podman"
		}
	}
	has := func(option string) bool {
		return slices.ContainsFunc(info.SecurityOptions, func(o string) bool { return o == option || strings.HasPrefix(o, option+",") })
	}
	switch {
	case info.OSType != "linux":
		return a, fmt.Errorf("sandbox/docker: the engine runs containers of %s, and steps are for linux", info.OSType)
	case has("name=rootless"):
		return a, errors.New("sandbox/docker: the engine is rootless: it owns files as another user than the server does, and cannot be relied upon for limits. Use one that runs as root, or CONVEYOR_SANDBOX=auto")
	case !has("name=seccomp"):
		return a, errors.New("sandbox/docker: the engine filters no system calls (seccomp is off in it), so it cannot shut a step in. Use an engine that is built with seccomp")
	case !info.MemoryLimit || !info.PidsLimit || !info.CPUCfsQuota:
		return a, errors.New("sandbox/docker: the engine cannot limit memory, processes and processors: its cgroups lack a controller")
	}
	if has("name=userns") { // https://docs.docker.com/engine/security/userns-remap/: its folder is named after the first ids
		uid, gid, _ := strings.Cut(path.Base(info.DockerRootDir), ".")
		if a.firstID, err = strconv.Atoi(uid); err != nil || uid != gid {
			return a, fmt.Errorf("sandbox/docker: the engine has a user namespace, and its folder %s does not say which ids of this machine it has", info.DockerRootDir)
		}
	}
	return a, nil
}

func isNotFound(err error) bool { return errdefs.IsNotFound(err) }
