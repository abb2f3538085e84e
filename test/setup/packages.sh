#!/bin/sh
# Installs what is missing, from the distribution's packages: runtime (an OCI runtime), runtimes (all that
# are tested), redis, docker (an engine), kubernetes (what a cluster needs beside its own programs), browser, race (what the race
# detector is linked with), clients (Node.js and gh), languages (a JDK and Python), bench (what is measured against).
# As root or through sudo; where neither is possible, it says in one sentence what to install.
set -eu

missing=
want() { # name of a command, name of its package
	command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"
}

for what in "$@"; do
	case $what in
	runtime) command -v runc >/dev/null 2>&1 || [ -x /usr/sbin/runc ] || want crun "crun runc" ;;
	runtimes) want crun crun; want runc runc ;; # the tests try both
	docker) want dockerd docker.io ;; # an engine of the tests' own; one that runs is left alone
	kubernetes)
		want etcd etcd-server
		want containerd containerd
		want openssl openssl
		want ip iproute2
		[ -x /usr/lib/cni/bridge ] || missing="$missing containernetworking-plugins"
		;;
	race) want gcc "gcc libc6-dev" ;; # the race detector is linked with C
	redis) want redis-server redis-server ;;
	browser) want chromium chromium ;;
	languages) want javac default-jdk-headless; [ -x /usr/bin/python3 ] || missing="$missing python3" ;; # what the projects of the tests are written in
	bench) want zstd zstd; want rclone rclone ;; # what artifacts are measured against
	clients) want node nodejs; want npm npm; want gh gh ;; # GitHub's own clients
	esac
done
# git is needed by everything; http-backend is part of it.
want git git

[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
	echo "Please install:$missing" >&2
	exit 1
fi
as=
if [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
		as="sudo -n"
	else
		echo "Please install:$missing (for example: sudo apt-get install$missing)" >&2
		exit 1
	fi
fi
echo "Installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086 # the words are package names
if ! { $as apt-get update -qq && $as apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -20 "$log" >&2
	rm -f "$log"
	echo "These packages could not be installed:$missing" >&2
	exit 1
fi
rm -f "$log"
