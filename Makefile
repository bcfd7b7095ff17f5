# Every command a person or the CI needs. `make help` lists them.
# A fresh machine needs Python >= 3.11 and root (or Docker); everything else is fetched or built on first use.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
UV     := $(BIN)/uv
SOURCES := operator runtime cli devcluster demo bench tests
export PYTHONPATH := operator:runtime:cli:.

.DEFAULT_GOAL := help
.PHONY: help venv lint format typecheck test test-unit test-contract test-gates test-integration test-e2e torture \
        bench-operator bench-runtime bench-fetch demo demo-down generate update-golden lock verify images cluster-up cluster-down cluster-status clean

help:  ## Show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP)  ## Make the development environment in .venv from the lock

$(STAMP): requirements/dev.txt pyproject.toml scripts/make_venv.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/make_venv.sh
	@touch $(STAMP)

lint: venv  ## Style, spelling, dead imports, who may import whom
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/lint-imports
	$(BIN)/codespell $(SOURCES) docs charts README.md CHANGELOG.md

format: venv  ## Put the code into the house format
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

typecheck: venv  ## mypy, strict, over sources and tests
	$(BIN)/mypy

test: venv  ## Everything it needs, then every test (45 min on two cores; from nothing half an hour more)
	$(BIN)/python -m tests.run

test-unit: venv  ## Pure logic, no network
	$(BIN)/pytest tests/unit

test-contract: venv  ## Both sides of every shared surface agree
	$(BIN)/pytest tests/contract

test-gates: venv  ## Bugs planted into a copy of the operator turn their tests red
	$(BIN)/pytest tests/gates

test-integration: venv  ## Against a real API server and real storage of each kind
	$(BIN)/pytest tests/integration

test-e2e: venv  ## Chart, pods, traffic, on a real cluster
	$(BIN)/pytest tests/e2e

torture: venv  ## Long campaigns of faults against the operator; seeds are printed, ARGS="--only NAME --seed N"
	$(BIN)/python -m tests.torture $(ARGS)

bench-operator: venv  ## The operator with 300, 1,000 and 5,000 resources (30 min; ARGS="--sizes 300")
	@$(BIN)/python -m bench.operator_scale $(ARGS)

bench-runtime: venv  ## The runtime beside other model servers, one core each (half an hour; ARGS="--quick" 3 min)
	@$(BIN)/python -m bench.runtime $(ARGS)

bench-fetch: venv  ## What fetch reaches beside curl from the same server, over HTTP and S3, and its memory (2 min)
	@$(BIN)/python -m bench.fetch $(ARGS)

demo: venv  ## Everything it needs, then two models served and checked
	@$(BIN)/python -m demo up

demo-down: venv  ## Remove everything the demo made
	@$(BIN)/python -m demo down

generate: venv  ## Write the CRD, the chart's copy of it and the API reference from their sources
	$(BIN)/python -m modelyard_operator.crd --write crds charts/modelyard docs/reference

update-golden: venv  ## Write the golden manifests of the operator's tests anew; read the diff
	$(BIN)/python -m tests.support.cluster_golden

lock: venv  ## Resolve the dependencies anew (hashes, no addresses)
	UV="$(UV)" sh scripts/lock.sh
	UV="$(UV)" sh scripts/lock_peers.sh

verify: venv  ## Generated files and locks agree with their sources; the tree is clean afterwards
	UV="$(UV)" sh scripts/lock.sh --check
	UV="$(UV)" sh scripts/lock_peers.sh --check
	$(MAKE) generate
	git diff --exit-code -- crds charts docs/reference requirements bench/peers

images: venv  ## Build the operator and runtime images and print their sizes
	@$(BIN)/python -m devcluster build-images

cluster-up: venv  ## A real one-node Kubernetes on this machine
	@$(BIN)/python -m devcluster up

cluster-down: venv  ## Remove it, leaving nothing
	@$(BIN)/python -m devcluster down

cluster-status: venv  ## What runs, where its logs are
	@$(BIN)/python -m devcluster status

clean:  ## Remove what was built in the checkout (the binary cache stays)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache test-results build dist
