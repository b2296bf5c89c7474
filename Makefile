# One word does one thing; `make` alone lists the words. Every command runs in .venv, which is made when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help venv demo check format test matrix coverage conformance bench fuzz sanitize native docs clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

venv: $(READY) ## the virtual environment of development
$(READY): pyproject.toml tools/make_venv.sh
	@tools/make_venv.sh $(PYTHON) $(VENV)
	@touch $@

demo: $(READY) ## a server with pages to click
	@$(BIN)/python examples/demo.py

check: $(READY) ## linter, formatter, types, spelling
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/codespell

format: $(READY) ## let the formatter write
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

test: $(READY) ## install what is missing, then run everything that must pass
	@tools/run_tests.sh

matrix: ## the suite on every Python, twin, transport and event loop; ONLY='3.13-*' chooses
	@$(PYTHON) tools/run_matrix.py $(ONLY)

coverage: $(READY) ## protocol modules, each measured by its own tests alone
	@$(BIN)/python tools/own_coverage.py

conformance: $(READY) ## the whole Autobahn suite against our server and our client
	@$(BIN)/python tests/conformance/autobahn.py server --all
	@$(BIN)/python tests/conformance/autobahn.py client --all

bench: $(READY) ## every benchmark
	@set -e; for file in benchmarks/bench_*.py; do $(BIN)/python $$file; done

fuzz: $(READY) ## random input into every parser, a minute each
	@$(BIN)/python -m pip install -qq --editable '.[fuzz]'
	@set -e; for file in fuzzing/fuzz_*.py; do $(BIN)/python $$file; done

sanitize: $(READY) ## the compiled twins under AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/run_sanitized.sh

native: $(READY) ## the compiled twins, in place
	@ELIO_BUILD_NATIVE=1 $(BIN)/python setup.py --quiet build_ext --inplace

docs: $(READY) ## the documentation, into site/
	@$(BIN)/python -m pip install -qq --editable '.[docs]'
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean: ## remove what was built; .venv and .cache stay
	rm -rf build dist site htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache
	find src -name '*.so' -delete
