#!/bin/sh
# Builds gVisor's runsc from its module, once, and prints the folder that it is in. Debian's is of 2022, which is too old.
set -eu
version=v0.0.0-20260905035102-160fafc42237 # of the branch that gVisor keeps for Go: the main one does not build with it

folder="${XDG_CACHE_HOME:-$HOME/.cache}/conveyor/runsc-$version"
if [ ! -x "$folder/runsc" ]; then
	echo "Building gVisor, which takes a few minutes, once." >&2
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	cd "$work"
	printf 'module runsc\n\ngo 1.26\n' >go.mod
	go get "gvisor.dev/gvisor@$version" >&2
	mkdir -p "$folder"
	CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags '-s -w' -o "$folder/runsc.new" gvisor.dev/gvisor/runsc
	mv "$folder/runsc.new" "$folder/runsc"
fi
echo "$folder"
