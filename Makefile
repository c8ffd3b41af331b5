# Each target installs what it needs on Debian 12 (with cargo on the PATH) and says what it does.
.PHONY: demo test check bench bench-noise bench-live bench-diff fuzz build tools-build tools-test \
	tools-fuzz tools-live tools-check tools-bench tools-bench-diff help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
KEPT := RUSTUP_HOME CARGO_HOME CARGO_TARGET_DIR TAPDIFF_CORPUS
AS_ROOT := $(SUDO) env "PATH=$$PATH" "HOME=$$HOME" $(foreach v,$(KEPT),$(if $($v),$v="$($v)"))

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: build ## play mirrored traffic with known differences on loopback and report them
	$(SUDO) ./target/release/tapdiff demo

build: tools-build ## build the release binary: target/release/tapdiff
	cargo build --release --locked

test: tools-build tools-test ## run every test, with the real Envoy (as root: capture, namespaces)
	cargo test --locked -p tapdiff-compare -p tapdiff-store -p tapdiff-fuzz
	cargo test --locked -p tapdiff --bins
	cargo test --locked -p tapdiff --test corpus --test accuracy
	cargo test --locked -p tapdiff-capture -p tapdiff --tests --no-run
	$(AS_ROOT) cargo test --locked -p tapdiff-capture
	$(AS_ROOT) cargo test --locked -p tapdiff --test e2e -- --test-threads=1

check: tools-build tools-check ## format, lints, documentation, licences
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --document-private-items
	cargo deny --locked check licenses bans sources

bench: build tools-bench ## pairs per CPU second of analyze against the floor and the peers
	cargo bench --locked --bench analyze

bench-noise: tools-build ## what is learned of noise and what is not, beside Diffy's formula
	cargo bench --locked -p tapdiff-compare --bench noise

bench-live: build tools-test tools-live ## real Envoy at full speed, mirrored in full, the tap beside it (LIVE_SECONDS, LIVE_PAIRS)
	$(AS_ROOT) $(foreach v,LIVE_SECONDS LIVE_PAIRS LIVE_CONNECTIONS,$(if $($v),$v="$($v)")) \
		cargo bench --locked --bench live

bench-diff: tools-build tools-bench-diff ## pairs of JSON compared per CPU second, beside other programs
	cargo run --release --locked -p tapdiff-bench-diff

fuzz: tools-build tools-fuzz ## fuzz every target, 30 s each (FUZZ_SECONDS, FUZZ_TARGET)
	tests/fuzz/run

tools-build:
	@tests/install.sh build

tools-test:
	@tests/install.sh test

tools-bench:
	@tests/install.sh bench

tools-bench-diff:
	@tests/install.sh bench-diff

tools-fuzz:
	@tests/install.sh fuzz

tools-live:
	@tests/install.sh live

tools-check:
	@tests/install.sh check
