# qpty: `make help` lists what there is.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install system test check format lock bench fidelity crashes clean

help:  ## what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP)  ## the environment in .venv, from the lock file

$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

system:  ## the Debian packages that tests use (needs root)
	@command -v xz >/dev/null && command -v bash >/dev/null && ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 \
	  || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y xz-utils bash postgresql; }

test: $(STAMP)  ## every test
	$(BIN)/python -m pytest

check: $(STAMP)  ## ruff, mypy --strict, import arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -p no:cacheprovider tests/test_imports.py

format: $(STAMP)  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(STAMP)  ## pin every dependency anew (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-emit-index-url --no-annotate --quiet --output-file requirements.lock

bench: $(STAMP)  ## speed, as ratios to stock pyte and the bare terminal
	$(BIN)/python -m tests.bench

fidelity: $(STAMP)  ## how exact the text is, through the real q
	$(BIN)/python -m tests.fidelity

crashes: $(STAMP)  ## kill workers and servers, cut readers, for long, and count what is lost
	$(BIN)/python -m tests.crashes

clean:  ## everything that make made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find qpty tests -name __pycache__ -type d -prune -exec rm -rf {} +
