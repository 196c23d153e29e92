# Everything lives in this folder: Python in .venv, Rust in target. `make` alone lists the targets.
# All paths are relative, so that a folder with spaces in its name will do.

PYTHON ?= python3
CARGO ?= cargo
# More arguments for the two test runners, such as: make test PYTEST_ARGS="-k embedded" CARGO_TEST_ARGS=engine
PYTEST_ARGS ?=
CARGO_TEST_ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# A server of yours serves the tests if you name it; otherwise a throw-away one does.
BESIDE_SERVER = $(if $(LOCKSTEP_TEST_DSN),,$(BIN)/python -m django_lockstep.embedded -c max_prepared_transactions=10)

export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-rust test-python test-example test-docs lint lint-rust lint-python catalogue docs format build clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: .venv/.built ## watch PostgreSQL abort a transaction: a real deadlock
	cd example_project && ../$(BIN)/python manage.py deadlock_test

test: test-rust test-python test-example ## run all tests

test-rust: .venv/.built ## run the engine's tests, which need no Python
	$(BESIDE_SERVER) $(CARGO) test --no-default-features $(CARGO_TEST_ARGS)

test-python: .venv/.built .venv/.test ## run the package's tests
	$(BIN)/python -m pytest -m "not docs" $(PYTEST_ARGS)

test-docs: .venv/.built .venv/.test ## follow the documentation word by word
	$(BIN)/python -m pytest tests/test_docs.py $(PYTEST_ARGS)

test-example: .venv/.built ## run the example project's tests
	cd example_project && ../$(BIN)/python manage.py test

lint: lint-rust lint-python ## check format, lints and types of both languages

lint-rust: .venv/.made
	$(CARGO) fmt --check
	PYO3_PYTHON="$$PWD/$(BIN)/python" $(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) clippy --all-targets --no-default-features -- -D warnings

lint-python: .venv/.built .venv/.test .venv/.lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml django_lockstep._core

catalogue: ## write the catalogue's table in docs/catalogue.md from the scenarios' files
	LOCKSTEP_WRITE_CATALOGUE=1 $(CARGO) test --no-default-features --test catalogue table

format: .venv/.lint ## format both languages
	$(CARGO) fmt
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: .venv/.built .venv/.docs ## build the documentation in target/docs, and check its links
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html -d target/doctrees docs target/docs
	$(BIN)/lychee --offline --include-fragments --no-progress target/docs

build: .venv/.demo ## build the wheel and the source distribution in dist
	$(BIN)/maturin build --release --out dist
	$(BIN)/maturin sdist --out dist

clean: ## remove all that was made
	rm -rf .venv target dist .pytest_cache .mypy_cache .ruff_cache python/django_lockstep/*.so
	find python tests example_project -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: each is newer than what it was made from, so that nothing is done twice.

.venv/.made:
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade "pip>=25.1" # the first that knows dependency groups
	touch $@

.venv/.demo .venv/.test .venv/.lint .venv/.docs: .venv/.%: .venv/.made pyproject.toml
	$(PIP) --group $*
	touch $@

# The folders count as well: a file that was removed makes its folder newer.
.venv/.built: .venv/.demo Cargo.toml Cargo.lock $(shell find src)
	VIRTUAL_ENV="$$PWD/.venv" $(BIN)/maturin develop --profile local
	touch $@
