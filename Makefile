# Every command of the project. `make` alone lists them.
#
# Nothing has to be set up first: each target that needs the virtual environment makes it, from
# hash-locked dependencies, once per content of the lock.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
UV := .cache/uv/bin/uv

# The stamp carries a checksum of all that decides what is installed: it is stale when they change,
# whatever the files' dates say (a checkout sets dates anew).
STAMP := $(VENV)/installed-$(shell cat requirements-dev.lock pyproject.toml | cksum | tr ' ' '-')

# Wheels only: a source distribution would be built with dependencies that no hash holds. The one
# exception has no wheel for Linux on 64-bit ARM.
WHEELS := --only-binary :all:
ifeq ($(shell uname -sm),Linux aarch64)
WHEELS += --no-binary faust-streaming
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench check-chart check-metrics check-image wheel sbom lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with everything in it (the other commands do it themselves)

demo: $(STAMP) ## see rules fire on a live stream: broker, worker and attack all in one
	@$(BIN)/streamproc demo

test: check ## run everything: check, then all tests, those on a real Apache Kafka included
	$(BIN)/pytest

check: $(STAMP) ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check-chart: $(STAMP) $(UV) ## the Helm chart: rendered by Helm 3 and 4, against all schemas, linted
	@$(BIN)/python -m tests.helm.tools
	$(BIN)/pytest -m chart tests/helm

check-metrics: $(STAMP) ## alert rules and dashboards, on a real Prometheus, worker and Kafka (as root)
	@$(BIN)/python -m tests.observability.tools
	$(BIN)/pytest -m observability tests/observability

check-image: $(STAMP) $(UV) ## the image: built, run hardened and on a real Kafka; compose file, workflows (as root)
	@$(BIN)/python -m tests.helm.tools
	@$(BIN)/python -m tests.image.tools
	$(BIN)/pytest -m image tests/image

# From what is committed, with fixed modes and dates: the same commit gives the same bytes.
wheel: $(STAMP) ## build the wheel into dist/, the same bytes each time
	@umask 022 && source=$$(mktemp -d) && trap 'rm -rf "$$source"' EXIT \
	    && git -c tar.umask=0022 archive $(COMMIT) | tar -x -p -C "$$source" \
	    && SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct $(COMMIT)) $(BIN)/python -m pip wheel --quiet \
	        --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir $(DIST) "$$source"
	@sha256sum $(DIST)/*.whl

DIST := dist
COMMIT := HEAD

sbom: wheel $(UV) ## list what the wheel and its dependencies are, as CycloneDX in dist/
	@rm -rf .cache/sbom && $(PYTHON) -m venv .cache/sbom/tools && $(PYTHON) -m venv --without-pip .cache/sbom/venv
	@$(UV) pip install --quiet --python .cache/sbom/tools --no-deps --require-hashes \
	    --only-binary :all: --requirement tests/image/tools.lock
	@$(UV) pip install --quiet --python .cache/sbom/venv --no-deps --require-hashes \
	    $(WHEELS) --requirement requirements.lock
	@$(UV) pip install --quiet --python .cache/sbom/venv --no-deps --no-index $(DIST)/*.whl
	@.cache/sbom/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
	    --output-reproducible --validate --output-format JSON \
	    --output-file $(DIST)/streamproc.cdx.json .cache/sbom/venv
	@echo $(DIST)/streamproc.cdx.json

bench: $(STAMP) ## measure rates, latency and memory beside other consumers and engines
	$(BIN)/python benchmarks/run.py

lock: $(UV) ## choose all dependencies anew and write the two lock files
	$(UV) pip compile pyproject.toml $(LOCK_OPTIONS) --output-file requirements.lock
	$(UV) pip compile pyproject.toml $(LOCK_OPTIONS) --extra dev --extra otel --constraint requirements.lock \
	    --output-file requirements-dev.lock
	$(UV) pip compile tests/image/tools.in $(LOCK_OPTIONS) --output-file tests/image/tools.lock

LOCK_OPTIONS := --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --custom-compile-command 'make lock'

clean: ## remove all that these commands made
	rm -rf $(VENV) .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || { \
	    echo "streamproc needs Python 3.11 or newer, and '$(PYTHON)' is" \
	        "$$($(PYTHON) --version 2> /dev/null || echo missing). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
	    echo "'$(PYTHON)' cannot make virtual environments: install its venv module" \
	        "(on Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Setting up $(VENV) (once per lock) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(WHEELS) \
	    --require-hashes --requirement requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/installed-*
	@touch $@

$(UV):
	$(PYTHON) -m venv .cache/uv
	.cache/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
