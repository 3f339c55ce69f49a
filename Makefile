# `make demo` and `make test` are all that a fresh machine needs: each target first installs what it
# is missing (scripts/setup), then builds what has changed. V=1 shows the output of every step.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

# What scripts/setup has built for this directory comes first.
export PATH := $(CURDIR)/target/tools/bin:$(if $(CARGO_HOME),$(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)
export CARGO_TARGET_DIR ?= $(CURDIR)/target
# The interpreter that pyo3 builds for; the system's own may be older than the package supports.
export PYO3_PYTHON := $(CURDIR)/.venv/bin/python

BIN := .venv/bin
STEP := @scripts/step
AS_ROOT := $(if $(filter-out 0,$(shell id -u)),$(shell command -v sudo))

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

.PHONY: demo
demo: build setup-demo ## two namespaces, WireGuard between them, ping, ssh and iperf3 through it
	@$(AS_ROOT) $(BIN)/meshvpn demo

.PHONY: test
test: build setup-demo setup-bench setup-test ## all tests; without root those that need none
	$(STEP) 'Rust tests built' cargo test --workspace --locked --no-run
	cargo test --workspace --locked --quiet
	$(BIN)/pytest

.PHONY: bench
bench: build setup-demo setup-bench ## throughput, CPU and latency against other VPNs
	@$(AS_ROOT) env PATH="$$PATH" $(BIN)/meshvpn bench

.PHONY: soak
soak: build setup-demo setup-test ## ten minutes of mixed traffic, restarts and bad datagrams
	@$(AS_ROOT) $(BIN)/python tests/soak.py --minutes 10

# --- build: maturin's release wheel, installed into .venv ---------------------------------------------

WHEEL := .venv/installed-wheel
# Directories too, whose time changes when a file in them is removed.
SOURCES := Cargo.toml Cargo.lock pyproject.toml \
	$(shell find rust python ! -path '*/target/*' ! -path '*/corpus/*' ! -path '*/__pycache__*')

.PHONY: build
build: setup-build $(WHEEL) ## .venv with the package and its command meshvpn

$(WHEEL): $(SOURCES)
	@rm -rf .venv/wheels
	$(STEP) 'release wheel' $(BIN)/maturin build --release --locked --interpreter $(BIN)/python \
		--out .venv/wheels
	$(STEP) 'wheel into .venv' $(BIN)/pip install --no-deps --force-reinstall .venv/wheels/*.whl
	@touch $@

SETUPS := setup-build setup-demo setup-test setup-bench setup-lint setup-docs setup-fuzz
.PHONY: $(SETUPS)
$(SETUPS): setup-%:
	@scripts/setup $*

# --- lint: every check apart, so that `make --keep-going lint` shows all complaints -------------------

.PHONY: lint
lint: lint-format lint-rust lint-deny lint-python lint-stubs lint-shell ## formatting, clippy, cargo-deny, ruff, mypy, stubs

.PHONY: lint-format
lint-format: setup-build setup-lint
	$(STEP) 'rustfmt' cargo fmt --all --check
	$(STEP) 'rustfmt of the fuzz targets' cargo fmt --manifest-path $(FUZZ_DIR)/Cargo.toml --check
	$(STEP) 'ruff format' $(BIN)/ruff format --check

.PHONY: lint-rust
lint-rust: setup-build
	$(STEP) 'clippy' cargo clippy --workspace --all-targets --locked -- -D warnings
	$(STEP) 'rustdoc' env RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

# Advisories come from a Git repository that not every network reaches: `make audit` asks it.
.PHONY: lint-deny
lint-deny: setup-build setup-lint
	$(STEP) 'cargo-deny' target/tools/bin/cargo-deny --locked check licenses bans sources

.PHONY: lint-python
lint-python: setup-build setup-lint
	$(STEP) 'ruff' $(BIN)/ruff check
	$(STEP) 'mypy' $(BIN)/mypy

STUB := meshvpn/_meshvpn.pyi
GENERATE_STUBS := $(BIN)/maturin generate-stubs --profile dev --features stubs --locked --interpreter $(BIN)/python

.PHONY: lint-stubs
lint-stubs: build setup-lint
	$(STEP) 'stubtest' $(BIN)/stubtest meshvpn._meshvpn
	$(STEP) 'stubs generated' $(GENERATE_STUBS) --out $(CARGO_TARGET_DIR)/stubs
	$(STEP) 'stubs compared (make stubs renews them)' diff -u python/$(STUB) $(CARGO_TARGET_DIR)/stubs/$(STUB)

.PHONY: lint-shell
lint-shell: setup-build setup-lint
	$(STEP) 'shellcheck' $(BIN)/shellcheck .ci/run scripts/*

.PHONY: stubs
stubs: setup-build ## renew the type stubs of the compiled module
	$(STEP) 'stubs generated' $(GENERATE_STUBS) --out python

.PHONY: audit
audit: setup-build setup-lint ## known vulnerabilities in dependencies
	target/tools/bin/cargo-deny --locked check advisories

# --- the rest -------------------------------------------------------------------------------------------

.PHONY: docs
docs: build setup-docs ## API documentation of both halves into target/docs
	$(STEP) 'rustdoc' cargo doc --workspace --no-deps --locked
	@mkdir -p target/docs && rm -rf target/docs/rust && cp -r $(CARGO_TARGET_DIR)/doc target/docs/rust
	$(STEP) 'pdoc' $(BIN)/pdoc --docformat google --output-directory target/docs/python \
		meshvpn meshvpn.coordinator meshvpn.errors meshvpn.lab meshvpn.noise meshvpn.pytest_plugin \
		meshvpn.relay meshvpn.wireguard
	@echo 'target/docs/rust/meshvpn_proto/index.html and target/docs/python/index.html'

# The pure crate has no unsafe code, so no sanitizer is needed, and the pinned compiler will do.
# What the fuzzer finds interesting stays outside the corpus that the tests replay.
FUZZ_DIR := rust/meshvpn-proto/fuzz
FUZZ_OUT := $(CARGO_TARGET_DIR)/fuzz
FUZZ_OPTIONS := --fuzz-dir $(FUZZ_DIR) --target-dir $(FUZZ_OUT)/build --sanitizer none
CARGO_FUZZ := target/tools/bin/cargo-fuzz fuzz

.PHONY: fuzz
fuzz: setup-build setup-fuzz ## a minute of fuzzing for every parser and for split and join
	$(STEP) 'fuzz targets' $(CARGO_FUZZ) build $(FUZZ_OPTIONS)
	@for target in $$($(CARGO_FUZZ) list --fuzz-dir $(FUZZ_DIR)); do \
		mkdir -p $(FUZZ_OUT)/found/$$target; \
		scripts/step "fuzz $$target" $(CARGO_FUZZ) run $(FUZZ_OPTIONS) $$target \
			$(FUZZ_OUT)/found/$$target $(FUZZ_DIR)/corpus/$$target \
			-- -max_total_time=60 -timeout=10 -rss_limit_mb=1024; \
	done

.PHONY: clean
clean: ## remove everything that was built or downloaded into this directory
	rm -rf target .venv .mypy_cache .ruff_cache .pytest_cache
