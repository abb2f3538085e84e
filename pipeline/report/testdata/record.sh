#!/bin/sh
# Records what go test prints about the failing module in shop/. Run it here after changing the module.
set -u
cp -r shop /tmp/shop-recorded
cd /tmp/shop-recorded || exit 1
for mode in plain verbose json; do
	flag=
	[ $mode = verbose ] && flag=-v
	[ $mode = json ] && flag=-json
	go test $flag -timeout 2s ./... 2>&1 | sed 's#/tmp/shop-recorded#/home/ci/shop#g' >"$OLDPWD/go/$mode.log"
done
rm -r /tmp/shop-recorded
