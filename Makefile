# `make` alone lists what there is. Each target does its own set-up on a fresh Debian or Ubuntu machine with Go and git.
GO      ?= go
BIN     := bin
ONCE    ?=
KILL    ?=
SOURCES := $(shell find app cmd deploy handlers pipeline -name '*.go' -o -name '*.html' -o -name '*.css' -o -name '*.js' -o -name 'schema.json') manifest.go manifest.yml go.mod go.sum

.DEFAULT_GOAL := help
.PHONY: help demo test test-kubernetes lint race bench fuzz test-gvisor build setup-demo setup-test setup-bench clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: setup-demo $(BIN)/conveyor $(BIN)/demo ## the main job on this machine, with a local GitHub (ONCE=1: play it and stop, KILL=1: with a crash in it)
	$(BIN)/demo -conveyor $(BIN)/conveyor $(if $(ONCE),-once) $(if $(KILL),-kill)

test: setup-test lint race ## lint, race detector, stories, contracts, golden files, end to end, GitHub's own clients

test-kubernetes: ## steps in pods against a real cluster of this machine alone, which is built once and kept (half an hour the first time)
	@test/setup/packages.sh runtimes race kubernetes
	test/kubernetes/run.sh

lint: ## formatting, go vet, staticcheck
	@test -z "$$(gofmt -l manifest.go app cmd deploy handlers pipeline test)" || { gofmt -l manifest.go app cmd deploy handlers pipeline test; echo 'run gofmt -w on these files'; exit 1; }
	$(GO) vet ./...
	$(GO) run -modfile=test/lint/go.mod honnef.co/go/tools/cmd/staticcheck ./...

race: setup-test $(BIN)/conveyor $(BIN)/demo
	CONVEYOR_BIN=$(CURDIR)/$(BIN) $(GO) test -race -timeout 15m ./...

bench: setup-test setup-bench $(BIN)/conveyor ## figures as ratios measured in one run; writes bench.json
	$(GO) run ./test/bench -conveyor $(BIN)/conveyor -out bench.json

test-gvisor: setup-test ## the contract of sandboxes with a gVisor that is built from its module, and kept below ~/.cache
	PATH="$$(test/setup/gvisor.sh):$$PATH" $(GO) test -tags gvisor -timeout 15m -run Runsc ./pipeline/sandbox/oci

fuzz: ## each fuzz target for a minute
	@test/setup/fuzz.sh

build: $(BIN)/conveyor $(BIN)/conveyor-pod ## bin/conveyor, as it is released, and bin/conveyor-pod, which runs in the pods of steps

$(BIN)/conveyor: $(SOURCES)
	CGO_ENABLED=0 $(GO) build -tags nomsgpack -trimpath -ldflags '-s -w -buildid=' -o $@ ./cmd/conveyor

$(BIN)/conveyor-pod: $(SOURCES)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -buildid=' -o $@ ./cmd/pod

$(BIN)/demo: $(SOURCES) $(shell find test/github -name '*.go')
	$(GO) build -o $@ ./cmd/demo

setup-demo:
	@test/setup/packages.sh runtime

setup-test:
	@test/setup/packages.sh runtimes docker redis browser race clients languages
	@test/setup/clients.sh

setup-bench:
	@test/setup/packages.sh bench
	@test/setup/peers.sh

clean:
	rm -rf $(BIN) .demo demo-ledger.json bench.json
