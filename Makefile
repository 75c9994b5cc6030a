# qpty: `make help` lists what there is.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(VENV)/.installed
DEV    := $(VENV)/.installed-dev
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
CLIENTS := tests/clients
CLIENT_ENVS := $(CLIENTS)/.venv-current/.installed $(CLIENTS)/.venv-old/.installed \
  $(CLIENTS)/node_modules/.package-lock.json
AXE    := tests/page/node_modules/axe-core/axe.min.js
DEBIAN := apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y
COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
  --no-annotate --quiet
LOCK   := $(COMPILE) pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help install run dev system browser clients test check format lock bench fidelity crashes clean

help:  ## what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(RUN)  ## the environment in .venv, from the lock file

$(RUN): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --requirement requirements.lock
	$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

$(DEV): requirements-dev.lock $(RUN)
	$(PIP) --require-hashes --requirement requirements-dev.lock
	@touch $@

run: $(RUN)  ## the server, at http://127.0.0.1:8080
	@$(BIN)/python run.py

dev: $(DEV)  ## the server, started again whenever its code changes
	@$(BIN)/watchfiles '$(BIN)/python run.py' qpty config

system: browser  ## the Debian packages that tests use (needs root), and what `make browser` installs
	@{ which xz bash curl && ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1 || { $(DEBIAN) xz-utils bash curl postgresql; }

browser: $(AXE)  ## what tests of the page need: a browser with fonts (needs root), and axe-core from npm
	@{ which chromium && fc-list :lang=zh | grep -q . && fc-list :lang=und-zsye | grep -q .; } >/dev/null 2>&1 \
	  || { $(DEBIAN) chromium fontconfig fonts-wqy-microhei fonts-noto-color-emoji; }

$(AXE): tests/page/package-lock.json
	@which npm >/dev/null 2>&1 || { $(DEBIAN) npm; }
	npm ci --prefix tests/page --silent --no-audit --no-fund
	@touch $@

clients: $(CLIENT_ENVS)  ## other people's clients, of the interfaces that they speak, for tests

$(CLIENTS)/.venv-%/.installed: $(CLIENTS)/%.lock
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

$(CLIENTS)/node_modules/.package-lock.json: $(CLIENTS)/package-lock.json
	@which npm >/dev/null 2>&1 || { $(DEBIAN) npm; }
	npm ci --prefix $(CLIENTS) --silent --no-audit --no-fund
	@touch $@

test: $(DEV) $(CLIENT_ENVS)  ## every test
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

check: $(DEV)  ## ruff, mypy --strict, import arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -p no:cacheprovider tests/test_imports.py

format: $(DEV)  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:  ## pin every dependency anew (needs uv)
	$(LOCK) --group build --output-file requirements.lock
	$(LOCK) --group dev --constraint requirements.lock --output-file requirements-dev.lock
	$(COMPILE) $(CLIENTS)/current.in --output-file $(CLIENTS)/current.lock
	$(COMPILE) $(CLIENTS)/old.in --output-file $(CLIENTS)/old.lock
	npm install --prefix $(CLIENTS) --package-lock-only --omit-lockfile-registry-resolved --silent --no-audit --no-fund

bench: $(DEV)  ## speed, as ratios to stock pyte and the bare terminal
	$(BIN)/python -m tests.bench

fidelity: $(DEV)  ## how exact the text is, through the real q
	$(BIN)/python -m tests.fidelity

crashes: $(DEV)  ## kill workers and servers, cut readers, for long, and count what is lost
	$(BIN)/python -m tests.crashes

clean:  ## everything that make made
	rm -rf $(VENV) tests/page/node_modules $(CLIENTS)/.venv-* $(CLIENTS)/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find qpty tests -name __pycache__ -type d -prune -exec rm -rf {} +
