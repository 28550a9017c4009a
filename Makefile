# Everything a person or CI runs. The first target called creates the virtual environment.

PYTHON ?= python3.11
VENV := .venv
# Processes that run tests side by side; each starts servers of its own.
JOBS ?= 2
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo up down recovery bench load-test test matrix coverage lint docs format lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(INSTALLED) ## Create .venv with the pinned dependencies

$(INSTALLED): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Millrace needs Python 3.11 ($(PYTHON) not found); install it or call make with PYTHON=/path/to/python3.11." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	$(BIN)/python -P -m millrace.streams.ranking.warm_up
	@touch $(INSTALLED)

demo: $(INSTALLED) ## Run the main job end to end on the embedded stack (4 minutes)
	$(BIN)/millrace demo $(ARGS)

up: $(INSTALLED) ## Start real Kafka, Cassandra, Redis, Triton and all roles in the background (Java 17)
	$(BIN)/millrace up --stack local --detach $(ARGS)

down: $(INSTALLED) ## End what `make up` started; its data stays
	$(BIN)/millrace down $(ARGS)

bench: $(INSTALLED) ## Measure throughput and latency on the embedded stack
	$(BIN)/millrace bench $(ARGS)

load-test: $(INSTALLED) ## Let Locust users publish and wait for their lists; ARGS="--users 50 --web" ...
	$(BIN)/millrace load-test $(ARGS)

test: $(INSTALLED) ## Run all tests; pass pytest options with ARGS="..."
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

coverage: $(INSTALLED) ## Measure which branches the tests take, package by package; report in htmlcov/
	$(BIN)/python -m pytest --cov --cov-branch --cov-report=html $(ARGS)
	$(BIN)/python -m tests.coverage_by_package

matrix: $(INSTALLED) ## Test the SDK on every supported Python that this machine has
	$(BIN)/python -m pytest -rs tests/integration/sdk/test_interpreters.py $(ARGS)

recovery: $(INSTALLED) ## Try every kind of fault ten times on real servers and write docs/explanation/guarantees.md (33 minutes)
	$(BIN)/python -m millrace.load_tests.recovery --times 10 --report docs/explanation/guarantees.md $(ARGS)

lint: $(INSTALLED) ## Check style, types, the floors and the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/millrace schemas --check
	$(BIN)/python docs/check.py
	$(BIN)/python -m sphinx -W --keep-going -q -b dummy docs docs/_build/check

docs: $(INSTALLED) ## Build the documentation site into docs/_build/html; a warning fails it
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

format: $(INSTALLED) ## Format the code and sort imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(INSTALLED) ## Resolve pyproject.toml into requirements.lock anew
	$(BIN)/uv pip compile --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements.lock

clean: ## Remove the virtual environment, caches and run-time data
	rm -rf $(VENV) .millrace docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
