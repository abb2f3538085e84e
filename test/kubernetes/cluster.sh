#!/bin/sh
# The cluster itself, in namespaces of its own: see run.sh.
set -eu
cache=$1
shift
bin=$cache/bin-v1.36.3
dir=$(mktemp -d /tmp/kube-XXXXXX)
pids=
group=$(basename "$dir")
had=$(ls -d /sys/fs/cgroup/*/k8s.io /sys/fs/cgroup/k8s.io 2>/dev/null || true) # what containerd makes is removed again

finish() {
	code=$?
	trap - EXIT INT TERM
	set +e
	# The node's containers first: they are other processes' children.
	for id in $(ctr -a "$dir/containerd.sock" -n k8s.io task ls -q 2>/dev/null); do ctr -a "$dir/containerd.sock" -n k8s.io task kill -s KILL -a "$id" >/dev/null 2>&1; done
	for pid in $pids; do kill "$pid" 2>/dev/null; done
	for pid in $pids; do
		n=0
		while kill -0 "$pid" 2>/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
		kill -KILL "$pid" 2>/dev/null
	done
	# Shims of containerd outlive it by design; these are ours by their socket's folder.
	for p in /proc/[0-9]*; do
		if (tr "\\0" " " <"$p/cmdline") 2>/dev/null | grep -q "containerd-shim.*$dir"; then kill -KILL "${p#/proc/}" 2>/dev/null; fi
	done
	if [ $code -ne 0 ]; then
		for f in "$dir"/log/*; do echo "--- ${f##*/}"; grep -E '^[EF][0-9]{4}|error|fatal' "$f" | tail -n "${LINES_OF_LOG:-5}"; done >&2
	fi
	sort -r /proc/mounts | while read -r _ at _; do case $at in "$dir"*) umount -l "$at" 2>/dev/null ;; esac; done
	set -- /sys/fs/cgroup/*/"$group" /sys/fs/cgroup/"$group"
	[ "$had" ] || set -- "$@" /sys/fs/cgroup/*/k8s.io /sys/fs/cgroup/k8s.io
	for c; do [ -d "$c" ] && find "$c" -depth -type d -exec rmdir {} + 2>/dev/null; done
	if [ "${KEEP:-}" ]; then echo "kept: $dir" >&2; else rm -rf "$dir"; fi
	exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

address=10.98.0.1
ip link set lo up
ip address add $address/32 dev lo
mkdir -p "$dir/log" "$dir/net" "$dir/etcd"
echo 1 >/proc/sys/net/ipv4/ip_forward 2>/dev/null || true # of this network namespace

start() { # start NAME COMMAND…
	name=$1
	shift
	"$@" >"$dir/log/$name" 2>&1 &
	pids="$! $pids" # the last one is ended first
}
wait_for() { # wait_for WHAT COMMAND…
	what=$1
	shift
	n=0
	until "$@" >/dev/null 2>&1; do
		n=$((n + 1))
		if [ $n -gt 300 ]; then
			echo "$what did not come" >&2
			exit 1
		fi
		sleep 0.5
	done
}

start etcd etcd --data-dir "$dir/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
openssl genrsa -out "$dir/sa.key" 2048 2>/dev/null
openssl rsa -in "$dir/sa.key" -pubout -out "$dir/sa.pub" 2>/dev/null
token=$(head -c 24 /dev/urandom | base64 | tr -d '/+=')
driver=$(head -c 24 /dev/urandom | base64 | tr -d '/+=')
echo "$token,admin,admin,system:masters" >"$dir/tokens"
echo "$driver,conveyor,conveyor" >>"$dir/tokens"
start apiserver "$bin/kube-apiserver" --etcd-servers http://127.0.0.1:2379 --secure-port 6443 --bind-address $address --advertise-address $address \
	--cert-dir "$dir/certs" --service-account-key-file "$dir/sa.pub" --service-account-signing-key-file "$dir/sa.key" \
	--service-account-issuer https://conveyor.test --token-auth-file "$dir/tokens" --authorization-mode RBAC --disable-admission-plugins ServiceAccount \
	--kubelet-preferred-address-types InternalIP --service-cluster-ip-range 10.99.0.0/24

kubeconfig() { # kubeconfig TOKEN
	cat <<-END
		apiVersion: v1
		kind: Config
		clusters: [{name: it, cluster: {server: "https://$address:6443", insecure-skip-tls-verify: true}}]
		users: [{name: me, user: {token: "$1"}}]
		contexts: [{name: it, context: {cluster: it, user: me}}]
		current-context: it
	END
}
kubeconfig "$token" >"$dir/admin"
kubeconfig "$driver" >"$dir/driver"
kubectl="$bin/kubectl --kubeconfig $dir/admin"
wait_for "the API server" $kubectl get --raw /readyz

start controller-manager "$bin/kube-controller-manager" --kubeconfig "$dir/admin" --authentication-kubeconfig "$dir/admin" --authorization-kubeconfig "$dir/admin" \
	--service-account-private-key-file "$dir/sa.key" --cert-dir "$dir/certs" --leader-elect=false
start scheduler "$bin/kube-scheduler" --kubeconfig "$dir/admin" --authentication-kubeconfig "$dir/admin" --authorization-kubeconfig "$dir/admin" --leader-elect=false

cat >"$dir/net/10-bridge.conflist" <<END
{"cniVersion": "1.0.0", "name": "bridge", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "ipam": {"type": "host-local", "dataDir": "$dir/ipam", "ranges": [[{"subnet": "10.97.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "loopback"}]}
END
cat >"$dir/containerd.toml" <<END
version = 2
root = "$dir/containerd"
state = "$dir/containerd-state"
[grpc]
  address = "$dir/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "conveyor.test/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/net"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
END
start containerd containerd --config "$dir/containerd.toml"
wait_for containerd ctr -a "$dir/containerd.sock" version
"$cache/image" "$dir/pause.tar"
ctr -a "$dir/containerd.sock" -n k8s.io images import "$dir/pause.tar" >/dev/null

cat >"$dir/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $address
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$group
cgroupsPerQOS: false
enforceNodeAllocatable: []
failSwapOn: false
resolvConf: ""
containerRuntimeEndpoint: unix://$dir/containerd.sock
evictionHard: {memory.available: "1Mi", nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "1%"}
maxPods: 200
registryPullQPS: 0
serializeImagePulls: false
podLogsDir: $dir/pod-logs
END
# The kubelet wants kernel settings of its own: it gets files in their place, so that this machine keeps what it has.
for f in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
	own=$dir/sysctl-$(echo "$f" | tr / -)
	cat "/proc/sys/$f" >"$own"
	mount --bind "$own" "/proc/sys/$f"
done
start kubelet "$bin/kubelet" --config "$dir/kubelet.yaml" --kubeconfig "$dir/admin" --node-ip $address --hostname-override node --root-dir "$dir/kubelet" --cert-dir "$dir/certs"
wait_for "the node" sh -c "$kubectl get node node -o jsonpath='{.status.conditions[?(@.type==\"Ready\")].status}' | grep -q True"

$kubectl apply -f "$(dirname "$0")/../../docs/kubernetes.yaml" >/dev/null
cd "$(dirname "$0")/../../pipeline/sandbox/kubernetes"
echo "a real cluster: $($kubectl version -o json | sed -n 's/.*"gitVersion": "\(.*\)".*/\1/p' | tail -1), $(containerd --version | cut -d' ' -f3), $(runc --version | head -1)" >&2
CONVEYOR_TEST_KUBECONFIG=$dir/driver "$cache/contract.test" -test.v -test.timeout 30m -test.parallel "${PARALLEL:-4}" "$@"
