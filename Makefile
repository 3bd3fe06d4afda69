# Everything runs from .venv, which is made from requirements.lock when it is absent or out of date.

# The first interpreter that runs and is new enough; `make test PYTHON=/some/python` overrides it. 3.13 comes last, since
# converting networks takes longer there.
CANDIDATES = python3.12 python3.11 python3.13 python3
NEW_ENOUGH = -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for p in $(CANDIDATES); do $$p $(NEW_ENOUGH) >/dev/null 2>&1 && { echo $$p; break; }; done)

UV ?= .venv/bin/uv
LOCK_FLAGS ?=
# Not jax and torch: they are large, and only test-backends needs them.
EXTRAS = --extra bases --extra demo --extra dev

.DEFAULT_GOAL := help
.PHONY: demo test test-backends check lock docs clean help

help: ## Show what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.installed ## Install, then train on real images and show the result
	.venv/bin/headstart demo

test: .venv/.installed ## Run the whole test suite, in random order
	.venv/bin/pytest -n 2 --dist loadfile

test-backends: .venv-backends/.installed ## Run the tests of hs.fit on TensorFlow, JAX and PyTorch
	for backend in tensorflow jax torch; do \
		KERAS_BACKEND=$$backend .venv-backends/bin/pytest -n 2 -m backends || exit 1; \
	done

check: .venv/.installed ## Check format, lint, types, import contracts and generated docs
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	.venv/bin/python docs/generate.py --check

docs: .venv/.installed ## Write docs/cli.md again
	.venv/bin/python docs/generate.py

lock: .venv/.installed ## Write requirements.lock again (LOCK_FLAGS=--upgrade for newer versions)
	$(UV) pip compile --no-config --quiet --universal --python-version 3.11 $(EXTRAS) --generate-hashes \
		--no-header --no-emit-index-url --no-emit-find-links $(LOCK_FLAGS) \
		--output-file requirements.lock pyproject.toml > /dev/null

clean: ## Remove the environment and everything else that was made
	rm -rf .venv .venv-backends dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests docs benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

.venv/.installed: requirements.lock pyproject.toml
	@p="$(PYTHON)"; "$${p:-false}" $(NEW_ENOUGH) 2>/dev/null || { \
		echo "Headstart needs Python 3.11 or newer; $${p:-none of $(CANDIDATES)} isn't. Try: make PYTHON=/path/to/python3" >&2; \
		exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --require-hashes --requirement requirements.lock
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# PyTorch's version is exact, since its newest one may bring gigabytes of GPU libraries along.
.venv-backends/.installed: .venv/.installed
	$(PYTHON) -m venv .venv-backends
	.venv-backends/bin/python -m pip install --quiet --require-hashes --requirement requirements.lock
	.venv-backends/bin/python -m pip install --quiet jax==0.10.2 torch==2.13.0
	.venv-backends/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
