#!/bin/sh
# Builds the programs that Conveyor is measured against into test/peers/bin, each at the version that test/peers/go.mod names.
# Woodpecker's own command is measured, too, where it is installed; its module is not on every proxy.
set -eu
cd "$(dirname "$0")/../peers"
[ bin/act -nt go.mod ] && [ bin/s5cmd -nt go.mod ] && [ bin/versitygw -nt ../versitygw/go.mod ] && exit 0
echo "Building act, s5cmd and versitygw into test/peers/bin" >&2
mkdir -p bin
cd ../..
go build -modfile=test/peers/go.mod -o test/peers/bin/ github.com/nektos/act github.com/peak/s5cmd/v2
go build -modfile=test/versitygw/go.mod -o test/peers/bin/ github.com/versity/versitygw/cmd/versitygw
touch test/peers/bin/*
