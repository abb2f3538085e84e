#!/bin/sh
# Starts a real cluster of this machine alone and runs the contract of sandboxes against it: run.sh [go test arguments]
# etcd, the API server, the controller manager, the scheduler, a kubelet with containerd and runc, and the bridge of CNI: all
# in a network and a mount namespace of their own, ended by their process numbers, and nothing of them outside of one folder.
# Needs root. build.sh keeps what it builds in ~/.cache/conveyor-test-kubernetes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/conveyor-test-kubernetes
"$here/build.sh" "$cache"
cd "$here/../.."
go test -race -c -o "$cache/contract.test" ./pipeline/sandbox/kubernetes
CGO_ENABLED=0 go build -o "$cache/image" ./test/kubernetes/image
exec unshare --net --mount --propagation private "$here/cluster.sh" "$cache" "$@"
