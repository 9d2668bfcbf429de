# `make demo` shows the product, `make test` tests it. Everything lives in .venv and var/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
CORPUS ?= ../shared/corpus
SPEC ?= examples/payment-processor/SPEC.md

# Tests side by side: a worker a core, but each may start servers of its own.
AT_ONCE ?= -n logical --maxprocesses 4 --no-loadscope-reorder

export BUILD_EXECUTOR_HOME ?= $(CURDIR)/var
export SPEC_ROOTS ?= $(CURDIR)
# A cached bytecode file saves each start of Prefect a second.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo demo-claude corpus-claude up down test test-core test-full check format bench bench-deploy corpus lock clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "%-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: up ## build SPEC, examples/payment-processor by default, into a running service and show it
	@$(BIN)/python -m deployments.demo $(SPEC)

demo-claude: $(VENV)/installed ## the same for a SPEC with holes, with a stand-in for Claude: no key, no cost
	@$(BIN)/python -m tests.claude_demo $(if $(filter command line,$(origin SPEC)),$(SPEC))

corpus-claude: $(VENV)/installed-dev ## fill the holes of every SPEC of CORPUS, with a stand-in for Claude
	@nice $(BIN)/python -m tests.claude_corpus $(CORPUS)

up: $(VENV)/installed ## start Prefect server, the workers and the adapter
	@$(BIN)/python -m deployments.stack up

down: $(VENV)/installed ## stop what `make up` and the builds started
	@$(BIN)/python -m deployments.stack down

test: test-core test-full ## all tests

test-core: $(VENV)/installed-dev ## the tests that need no server, with coverage of the core
	@$(BIN)/python -m pytest -m "not full" $(AT_ONCE) --cov --cov-report=term-missing:skip-covered

test-full: $(VENV)/installed-dev ## the tests against real servers
	@$(BIN)/python -m pytest -m full $(AT_ONCE)

check: $(VENV)/installed-dev ## every gate: format, lint, types, architecture, dependencies
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy build_executor api flows tasks deployments tests
	@$(BIN)/lint-imports
	@$(BIN)/deptry .

format: $(VENV)/installed-dev ## format and fix what can be fixed mechanically
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/installed-dev ## print the figures of the product on this machine
	@$(BIN)/python -m tests.bench

bench-deploy: $(VENV)/installed-dev ## print what users meet during deployments, good and bad ones
	@$(BIN)/python -m tests.bench_deploy
	@$(BIN)/python -m tests.bench_switch

corpus: $(VENV)/installed-dev ## build every SPEC of CORPUS, a folder with truth.json, and score it
	@nice $(BIN)/python -m tests.corpus $(CORPUS)

lock: $(VENV)/installed-dev ## compile the locked requirements from pyproject.toml
	@$(UV) pip compile -q --universal --generate-hashes --no-header pyproject.toml -o requirements.txt
	@$(UV) pip compile -q --universal --generate-hashes --no-header pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

clean: down ## stop everything, then remove the environment and all data
	rm -rf $(VENV) var

# uv comes from the locked requirements too: its pinned line installs it into the new environment.
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/^[^ ]/p' requirements.txt | sed '$$d' > $(VENV)/uv.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt

$(VENV)/installed: requirements.txt | $(UV)
	@$(UV) pip install -q --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	@$(UV) pip install -q --python $(BIN)/python --compile-bytecode --require-hashes -r requirements-dev.txt
	@touch $@
