# make run: install, then the quickstart.  make test: install, then the tests.  See README.md.
PYTHON ?= python3
BIN := .venv/bin
LOCKED := --no-deps --require-hashes -r
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test test-commands test-parts check install lint types docs lock clean

run: install
	$(BIN)/unlearn experiment=quickstart

# Whole commands, all there is to choose for them, and their pages: about half of the time.
COMMANDS := $(patsubst %,tests/%,commands probes report runs) $(patsubst %,tests/test_%.py,advice conf distributed first_refusals readme refusals semeval25_experiment)
# Tests start processes, which import the same files: where Python is told to keep no compiled ones, it takes longer.
PYTEST = OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -o cache_dir=.pytest_cache/$@

# Both halves at once, one a core; each shows what it has to say when it has ended.
test: install
	$(MAKE) --no-print-directory --keep-going --jobs=2 test-commands test-parts

test-commands: install
	@$(call shown_at_the_end,$(PYTEST) $(COMMANDS))

test-parts: install
	@$(call shown_at_the_end,$(PYTEST) tests $(COMMANDS:%=--ignore=%))

# $(1)'s output in one piece, and its exit code.
shown_at_the_end = log=$$(mktemp); echo "$@: running"; $(1) > $$log 2>&1; code=$$?; echo "$@:"; cat $$log; rm $$log; exit $$code

check: lint types test

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

# The documentation as a site, in site/.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

install: .venv/installed

.venv/installed: requirements.lock requirements-torch.lock requirements-cuda.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Python 3.11, 3.12 or 3.13 is needed, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv .venv
	$(PIP) install $(LOCKED) requirements.lock
	@# A CPU build that a local folder offers (find-links in pip's settings) saves gigabytes; else the index's build.
	$(PIP) install --no-index $(LOCKED) requirements-torch.lock 2> /dev/null || $(PIP) install $(LOCKED) requirements-torch.lock
	if $(BIN)/python tools/cuda_build.py; then $(PIP) install $(LOCKED) requirements-cuda.lock; fi
	$(PIP) install --no-deps --no-build-isolation --editable .
	$(PIP) check
	touch $@

lock:
	$(BIN)/python tools/lock.py

clean:
	rm -rf .venv outputs site
