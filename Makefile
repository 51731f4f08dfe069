# `make help` lists the targets. Python 3.11 or newer, git and make are all that has to be there;
# PYTHON=python3.13 chooses another Python than python3, ARGS="-k name" goes to pytest.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
TOOLS := .tools/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
# Neighbours share what they have loaded and started: each process gets a run of them to begin with.
PYTEST := $(BIN)/python -m pytest -rfEs -n auto --dist worksteal
SAY := @printf '%-9s %s\n'

# An environment belongs to one folder and one Python. One that was moved or copied, or that has
# lost its Python, would run other code than this: it is made anew.
OWNER := $(CURDIR) $(shell $(PYTHON) -c \
	'import sys; print(sys.base_prefix, *sys.version_info[:2])' 2>/dev/null)
ifneq ($(shell test -x $(BIN)/python && cat $(VENV)/made 2>/dev/null),$(OWNER))
.PHONY: $(VENV)/made
endif

.DEFAULT_GOAL := render
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

.PHONY: help render check test test-slow lint lint-rules lint-format lint-types tools clean
.PHONY: bench bench-large peers

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

render: $(VENV)/installed ## install gen into .venv and render every model (the default)
	@$(BIN)/gen render

check: $(VENV)/installed ## say whether what is committed is what the specs say
	@$(BIN)/gen render --check

test: $(VENV)/tested tools ## run the tests, but the slow ones (a minute on two cores)
	$(SAY) pytest "all but the slow tests"
	@$(PYTEST) -m "not slow" $(ARGS)

test-slow: $(VENV)/tested tools ## run the slow tests, as .ci/run does too (five minutes)
	$(SAY) pytest "the slow tests"
	@$(PYTEST) -m "slow or hypothesis" --hypothesis-profile=many $(ARGS)

lint: lint-rules lint-format lint-types ## check style and types

lint-rules: $(VENV)/tested
	$(SAY) ruff "rules"
	@$(BIN)/ruff check --quiet

lint-format: $(VENV)/tested
	$(SAY) ruff "format"
	@$(BIN)/ruff format --quiet --check

lint-types: $(VENV)/tested
	$(SAY) mypy "strict"
	@$(BIN)/mypy

bench: $(VENV)/tested tools ## measure a fleet of MODELS=1000 beside other tools (ten minutes)
	@$(BIN)/python -m benchmarks fleet --models $(or $(MODELS),1000) $(ARGS)

bench-large: $(VENV)/tested ## measure how fleets of 100, 1,000 and 10,000 models compare
	@$(BIN)/python -m benchmarks growth $(ARGS)

tools: .tools/installed ## build kustomize and kubeconform into .tools/bin

peers: .tools/peers/installed ## install the programs of others that some tests run beside gen

clean: ## remove all that make and the tests leave behind
	@rm -rf $(VENV) .tools .cache build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "gen needs Python 3.11 or newer, and $(PYTHON) is not: make PYTHON=python3.12" >&2; \
	    exit 1; }
	$(SAY) venv "$(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@echo "$(OWNER)" > $@

$(VENV)/installed: $(VENV)/made pyproject.toml
	$(SAY) install "gen"
	@$(PIP_INSTALL) --editable .
	@touch $@

# What the tests need includes gen itself, so that one installation serves both.
$(VENV)/tested: $(VENV)/made pyproject.toml
	$(SAY) install "gen and what tests it"
	@$(PIP_INSTALL) --editable '.[test]'
	@touch $(VENV)/installed $@

.tools/installed: scripts/install-tools | $(VENV)/made
	@sh scripts/install-tools $(TOOLS) $(BIN)/python
	@touch $@

.tools/peers/installed: tests/peers.txt
	$(SAY) peers ".tools/peers"
	@test -x .tools/peers/bin/python || $(PYTHON) -m venv .tools/peers
	@.tools/peers/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
	    --requirement $<
	@touch $@
