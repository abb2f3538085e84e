#!/bin/sh
# Installs GitHub's own libraries for Node.js into test/clients/node_modules, once for each lock file. Nothing of them is
# run while they are installed.
set -eu
cd "$(dirname "$0")/../clients"
[ node_modules/.package-lock.json -nt package-lock.json ] && exit 0
echo "Installing GitHub's libraries for Node.js into test/clients/node_modules" >&2
log=$(mktemp)
if ! npm ci --ignore-scripts --no-audit --no-fund >"$log" 2>&1; then
	tail -20 "$log" >&2
	rm -f "$log"
	echo "npm could not install test/clients/package-lock.json; with a package registry in reach, run \`make setup-test\` again" >&2
	exit 1
fi
rm -f "$log"
