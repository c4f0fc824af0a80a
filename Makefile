# The front door. Every command installs what it lacks or says what would; all of them share one
# build, in the profile `dev`, since the WebAssembly compiler is expensive to build.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET := $(or $(CARGO_TARGET_DIR),target)
SLUICE := $(TARGET)/debug/sluice
EXAMPLE := examples/01-first-canary
# The same selection of packages everywhere, so that no dependency is built twice with different
# features.
ALL := --workspace --locked

.PHONY: help tools build demo test check lints unit hostile plugins cluster cluster-demo swarm fuzz mutants bench bench-components bench-cluster hash clean

help: ## Show this.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

tools: ## Install the toolchain's parts that are missing (seconds).
	@command -v rustup >/dev/null || { echo "rustup is missing: see your distribution's package 'rustup'"; exit 1; }
	@rustup toolchain list | grep -q '^1\.95' || { echo "installing Rust 1.95"; rustup toolchain install 1.95.0 --profile minimal; }
	@rustup component list --toolchain 1.95.0 --installed | grep -q '^clippy' || rustup component add --toolchain 1.95.0 clippy rustfmt
	@rustup target list --toolchain 1.95.0 --installed | grep -q wasm32-wasip2 || { echo "installing the target wasm32-wasip2"; rustup target add --toolchain 1.95.0 wasm32-wasip2; }

build: tools ## Build the binary with its components (about 12 minutes on two cores the first time).
	@echo "== building sluice; the first time takes about 12 minutes on two cores, most of it for the WebAssembly compiler"
	cargo build $(ALL) --bins

demo: build ## Simulate a good and a bad release of the first example; no cluster is needed.
	@echo
	$(SLUICE) simulate $(EXAMPLE)/rollout.yaml --scenario $(EXAMPLE)/scenarios/good.yaml
	@echo
	$(SLUICE) simulate $(EXAMPLE)/rollout.yaml --scenario $(EXAMPLE)/scenarios/bad.yaml

cluster: ## Build the control plane for tests (17 CPU-minutes once; then nothing).
	@echo "== the test control plane: about 10 minutes on two cores the first time, then nothing"
	@bash tests/cluster/build.sh

# Crates whose lints need neither the WebAssembly compiler nor a Kubernetes client.
LIGHT := $(addprefix -p sluice-,core engine port api wire sim view tests fuzz)

check: tools ## Formatting, and lints of the crates that need no heavy dependency (2 minutes).
	cargo fmt --all -- --check
	cargo clippy --locked $(LIGHT) --all-targets -- -D warnings

lints: tools ## Lints of everything (10 minutes the first time).
	cargo clippy $(ALL) --all-targets -- -D warnings

unit: tools ## Every test that needs no control plane, the swarm included (3 minutes once built).
	cargo test $(ALL) --exclude sluice-e2e --exclude sluice-plugin-tests

hostile: build ## Attack the host of components with components (half a minute once built).
	cargo test $(ALL) --test guests --test bytes --test requests --test wasi_http --test wasi_logging --test pace

plugins: build ## Authors' tools: a component from nothing in every language, and the examples (5 minutes).
	SLUICE_BIN="$(abspath $(SLUICE))" cargo test $(ALL) --test languages --test bindings -- --nocapture

test: check build cluster ## Everything: lints, units, the swarm, and the real control plane.
	@bash tests/e2e/install-prometheus.sh >/dev/null
	@echo "== all tests: units, the swarm (half a minute), then the real control plane (some minutes)"
	@# Cases on the control plane mostly wait, so many of them at a time are right.
	SLUICE_BIN="$(abspath $(SLUICE))" RUST_TEST_THREADS=8 cargo test $(ALL) --no-fail-fast
	@echo "== all passed"

cluster-demo: build cluster ## A release on the real control plane, promoted before your eyes.
	@bash tests/e2e/install-prometheus.sh >/dev/null
	SLUICE_BIN="$(abspath $(SLUICE))" $(TARGET)/debug/cluster-demo

swarm: ## Judge many random releases: make swarm SEEDS=100000
	cargo run -p sluice-tests --bin swarm -- --count $(or $(SEEDS),100000) --first $(or $(FIRST),0)
	cargo run -p sluice-tests --bin swarm -- --count $(or $(SEEDS),100000) --first $(or $(FIRST),0) --blue-green

fuzz: ## Read what nobody would write, so long for each half: make fuzz MINUTES=10
	cargo run -p sluice-fuzz -- --minutes $(or $(MINUTES),10)
	cargo run $(ALL) --bin fuzz-host -- --minutes $(or $(MINUTES),10)

mutants: ## Break the core in one place after the other; the swarm has to find each (25 minutes).
	cargo run -p sluice-tests --bin mutants

bench: build ## Measure, and print; nothing is asserted.
	SLUICE_BIN="$(abspath $(SLUICE))" $(TARGET)/debug/bench "$(abspath $(SLUICE))" $(PARTS) 2>/dev/null

# The first example of every SDK, once; `make bench` measures those that are there.
bench-components: build ## Build what `make bench` measures in every language (3 minutes; needs Go, Node.js, Python).
	@for language in rust go js python; do \
	  folder="$(abspath $(TARGET))/bench-components/$$language"; \
	  test -f "$$folder/order-rate/dist/order-rate.wasm" && continue; \
	  rm -rf "$$folder"; mkdir -p "$$folder"; cd "$$folder"; \
	  env -u CARGO_TARGET_DIR sh -c '"$$0" plugin new order-rate --lang "$$1" && cd order-rate && "$$0" plugin build && "$$0" plugin pack' \
	    "$(abspath $(SLUICE))" "$$language" || echo "no component in $$language, see above"; \
	done

bench-cluster: build cluster ## Measure many rollouts on the real control plane, beside Deployments (half an hour).
	SLUICE_BIN="$(abspath $(SLUICE))" $(TARGET)/debug/bench-cluster $(or $(PERCENT),100) $(PARTS) 2>/dev/null

# Which library is asked is said in tests/cluster/go.mod.
HASH := host/wire/src/rollout/hash
hash: ## Ask Go anew how it serialises pod templates (needs Go; a minute the first time).
	cd tests/cluster && go run ./podtemplate table >"$(abspath $(HASH))/template.txt"
	cd tests/cluster && go run ./podtemplate vectors >"$(abspath $(HASH))/vectors.txt"

clean: ## Remove what was built here; caches of the user stay.
	cargo clean
