#!/bin/sh
# Builds the parts of a cluster of one machine from the Go module proxy, and keeps them: build.sh FOLDER
# It takes about half an hour of a processor the first time, and no time afterwards.
set -eu
version=v1.36.3
staging=v0.36.3
bin=$1/bin-$version
mkdir -p "$bin" "$1/src"
servers="kube-apiserver kubelet kube-controller-manager kube-scheduler"
missing=
for name in $servers kubectl; do
	if [ ! -x "$bin/$name" ]; then missing="$missing $name"; fi
done
if [ -z "$missing" ]; then exit 0; fi
echo "building$missing $version, once: this takes long" >&2
cd "$1/src"
mod=$(go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/^[[:space:]]*"GoMod": "\(.*\)",$/\1/p')
{
	echo "module cluster"
	sed -n 's/^go \(.*\)$/go \1/p' "$mod"
	echo "require k8s.io/kubernetes $version"
	# The module replaces its own parts by folders that only its repository has; here they are the released ones.
	sed -n "s|^[[:space:]]*\(k8s.io/[a-z-]*\) v0\.0\.0\$|replace \1 => \1 $staging|p" "$mod" | sort -u
} >go.mod
{
	echo "package cluster"
	echo "import ("
	for name in $servers; do echo "	_ \"k8s.io/kubernetes/cmd/$name/app\""; done
	echo "	_ \"k8s.io/kubectl/pkg/cmd\""
	echo ")"
} >cluster.go
go mod tidy -e >tidy.log 2>&1 || { cat tidy.log >&2; exit 1; }
info=k8s.io/component-base/version
for name in $missing; do
	CGO_ENABLED=0 GOFLAGS=-p=1 nice -n 19 go build -mod=mod -trimpath -o "$bin/.$name" \
		-ldflags "-s -w -X $info.gitVersion=$version -X $info.gitMajor=1 -X $info.gitMinor=36" "k8s.io/kubernetes/cmd/$name"
	mv "$bin/.$name" "$bin/$name"
done
