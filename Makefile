# Two commands do everything on a fresh machine: `make run` and `make test`. `make help` lists the rest.

GO       ?= go
BIN      := bin/primatomic
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -X github.com/primatomic/primatomic/server.version=$(VERSION)
FUZZTIME ?= 30s
SEEDS    ?= 200
SPAN     ?= 60s
SIMCHUNK := 50
KILLS    ?= 50
SOAK     ?= 30m
NODEOLD  := "18.18".localeCompare(process.version.slice(1), "en", { numeric: true }) > 0

.PHONY: help build run cluster test unit lint sdk-js sdk-python bench bench-cluster etcd sim kill soak faults fuzz docs \
	proto tools clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/primatomic.
	$(GO) build -trimpath -ldflags "$(LDFLAGS)" -o $(BIN) ./cmd/primatomic

run: build ## Run a single node on 127.0.0.1:6379, data in ./data.
	$(BIN) serve

cluster: build ## Run three nodes on 127.0.0.1, Redis at 6379 to 6381, data in ./data-dev.
	$(BIN) dev --nodes 3

test: tools lint ## Everything CI checks: lint, and all tests with everything they run under the race detector.
	$(GO) test -race -timeout 15m ./...

unit: ## The tests without the race detector and without real processes.
	$(GO) test -short ./...

lint: ## gofmt, go vet, staticcheck.
	@unformatted=$$(gofmt -l $$(git ls-files '*.go' | grep -v '\.pb\.go$$')); \
	if [ -n "$$unformatted" ]; then echo "gofmt is needed on:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

sdk-js: build ## Test the client for JavaScript against bin/primatomic. Takes Node 18.18 or newer, and npm.
	@{ command -v npm && node -e 'process.exit($(NODEOLD) ? 1 : 0)'; } >/dev/null 2>&1 || \
		{ echo "skipped: sdk/js, for want of Node 18.18 or newer with npm"; [ -z "$$CI" ]; exit; }; \
	cd sdk/js && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --ignore-scripts; } && npm test

sdk-python: build ## Check, build and test the client for Python against bin/primatomic. Takes Python 3.10 or newer.
	./sdk/python/check.sh

bench: tools build ## Measure this store beside redis-server on this machine.
	$(GO) run ./bench

bench-cluster: tools etcd build ## Measure three nodes beside redis-server and three nodes of etcd; flags in BENCH.
	$(GO) run ./bench cluster $(BENCH)

sim: ## Run SEEDS seeds of the simulator, of SPAN each, on all cores; how to run one alone stands beside a failure.
	@mkdir -p bin && $(GO) test -c -o bin/sim.test ./integration/sim
	@seq 1 $(SIMCHUNK) $(SEEDS) | xargs -P $$(nproc) -I FIRST bin/sim.test -test.run '^TestSim$$' -test.timeout 0 \
		-test.v -seeds $(SIMCHUNK) -span $(SPAN) -first FIRST

kill: ## Kill the process under load KILLS times and count acknowledged writes that are lost.
	KILLS=$(KILLS) $(GO) test ./integration -count=1 -timeout 0 -run KillLoop -v

soak: tools ## Run three nodes under load and faults, one or two at a time, for SOAK; SEED=N repeats the choices. Root.
	SOAK=$(SOAK) $(GO) test ./integration -count=1 -timeout 0 -run '^TestSoak$$' -v

# An input that reaches new code would be made smaller for a minute, which is more than there is.
faults: tools ## Run each kind of fault of three nodes under load, those included that take long. Takes root.
	FAULTS=1 $(GO) test ./integration -count=1 -timeout 60m -run '^TestFleet' -v

fuzz: ## Run every fuzz target for FUZZTIME each.
	@for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 2s $$package || exit 1; \
		done; \
	done

docs: ## Write docs/COMMANDS.md and docs/CONFIGURATION.md from the tables in the code.
	$(GO) test ./command ./cmd/primatomic -run '^TestReference$$' -update

proto: ## Generate the code of the gRPC API, in Go and Python.
	./proto/generate.sh
	./sdk/python/venv.sh && ./sdk/python/generate.sh

tools: ## Install what the tests and benchmarks run beside us: redis-cli and redis-server, and what cuts links.
	@command -v redis-server >/dev/null && command -v redis-cli >/dev/null && \
		command -v ip >/dev/null && command -v iptables >/dev/null || { \
		echo "installing redis-server, redis-cli, ip and iptables"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
			redis-server redis-tools iproute2 iptables; }

etcd: ## Install etcd-server, which bench-cluster measures beside us. It does without if there is none.
	@command -v etcd >/dev/null || { \
		echo "installing etcd-server"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq etcd-server || \
		echo "etcd-server is not to be had here: going on without it"; }

clean: ## Remove what was built.
	rm -rf bin sdk/js/dist sdk/python/build
