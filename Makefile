# `make help` lists the targets: a comment after ## is its help.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
CARGO ?= cargo
# The Kafka client is not in the default build, but what is checked and shipped has it.
ALL := --all-features

# The tests mostly wait, for brokers and deadlines.
export RUST_TEST_THREADS ?= 4

.PHONY: help up check fmt clippy doc deny test test-live test-kafka test-backends test-stack test-aws test-kubernetes test-release test-scale provision pictures first chaos bench bench-build bench-queue bench-cold-start measure bench-verify clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## Start the whole lab on this machine
	$(CARGO) run --release --locked -- up

check: fmt clippy doc deny ## Everything that can be checked without running it

fmt: ## Formatting, as rustfmt has it
	$(CARGO) fmt --check

clippy: ## Lints of all targets; a warning is an error
	$(CARGO) clippy $(ALL) --all-targets --locked -- -D warnings

doc: ## API documentation without warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(ALL) --no-deps --document-private-items --locked

deny: ## Dependencies, licences, sources, advisories
	scripts/deny

provision: ## Get what the tests need beside Rust
	scripts/provision

test: provision ## Every test, on real components
	$(CARGO) test $(ALL) --locked
	@$(MAKE) test-live

test-live: provision ## A page from fault to repair, with a real Prometheus and Alertmanager: some seven minutes
	$(CARGO) test $(ALL) --locked --test it alerts::scenario -- --ignored --nocapture

test-kafka: provision ## The queue's tests on Apache Kafka alone, which are part of test too
	$(CARGO) test $(ALL) --locked --test it -- conformance::kafka conformance::only_kafka chaos::kafka

# Beside the tests of their own, those that `make test` runs on Debian's Prometheus and Alertmanager, on these.
BACKENDS := $(CURDIR)/.tools/backends/prometheus:$(CURDIR)/.tools/backends/alertmanager
test-backends: ## The lab's telemetry in Jaeger, Prometheus, Alertmanager, a Collector and VictoriaLogs; needs Go
	scripts/provision --backends
	PATH="$(BACKENDS):$$PATH" $(CARGO) test $(ALL) --locked --test it -- \
		alerts::promtool alerts::cases alerts::routes alerts::live exemplars:: up::backends
	$(CARGO) test $(ALL) --locked --test it backends:: -- --ignored --nocapture --test-threads 2

test-stack: ## The image and the compose stack in a Docker engine, on every queue; ARGS='--help' tells more
	scripts/test-stack $(ARGS)

test-kubernetes: provision ## deploy/kubernetes, and that kustomize builds of it what the tests have read; needs Go
	scripts/backends kustomize
	$(CARGO) test $(ALL) --locked --test it deploy::kubernetes -- --include-ignored

test-aws: ## deploy/terraform without an account: its own tests, and an apply on moto
	scripts/provision --aws
	scripts/test-aws

# The folder of a release's archives; without it they are made.
ARCHIVES ?=
test-release: ## The archive of a release in an empty root, up to a trace in the browser; ARCHIVES=FOLDER takes those made before
	scripts/provision
	@[ -n '$(ARCHIVES)' ] || scripts/release --out target/dist
	ARCHIVES='$(abspath $(or $(ARCHIVES),target/dist))' $(CARGO) test $(ALL) --locked --test it release:: -- --ignored --nocapture

test-scale: provision ## Several instances of every role, each replaced under load, on Redis and on Kafka; on a machine at rest
	$(CARGO) test $(ALL) --locked --test it scale:: -- --ignored --nocapture --test-threads 1

pictures: provision ## The pictures of README and docs, each of a running lab; ARGS='--only console,map' makes some
	$(CARGO) build --release --locked
	.tools/venv/bin/python tests/tools/pictures.py --program target/release/o11y-lab $(ARGS)

first: ## Build and start the lab, as the README's first commands do
	scripts/first-command

chaos: provision ## 10,000 orders on each transport while processes are killed and brokers restarted: a table
	$(CARGO) test $(ALL) --locked --test it chaos -- --ignored --test-threads 1 --nocapture

bench-queue: provision ## Latency and drain rate of each transport beside its bare client
	$(CARGO) bench $(ALL) --locked --bench queue

bench-cold-start: ## Start of the Lambda function's process to its first question: under 50 ms
	$(CARGO) bench --locked --bench cold_start

# The measured program is the release build. What measures only starts processes and reads /proc, so it is built as
# the tests are (`cargo test` gives a benchmark the dev profile, and with the same features all is there after `make
# test`) and not with a second release build of everything.
MEASURE := $(CARGO) test $(ALL) --locked --quiet --bench lab --

bench: ## CPU, speed, memory, system calls of the release build: a table; BASE=PROGRAM compares, ARGS='--help' tells more
	scripts/provision --bench
	$(CARGO) build --release --locked
	$(MEASURE) bench $(if $(BASE),--base '$(BASE)') $(ARGS)

bench-build: ## CPU seconds of a cold build, many minutes; BASE_SOURCE=FOLDER compares with another checkout
	$(MEASURE) build $(if $(BASE_SOURCE),--base '$(BASE_SOURCE)')

measure: ## Memory, idle CPU, start times and size of the release build, as a table
	$(CARGO) build --release --locked
	$(MEASURE) measure

bench-verify: ## 100,000 spans, read and judged: time and memory
	$(CARGO) build --release --locked
	$(MEASURE) verify

clean: ## Remove what was built and fetched
	$(CARGO) clean
	rm -rf .tools
