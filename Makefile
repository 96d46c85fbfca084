# Needs make and some Python 3.12 to 3.14 (scripts/find_python.sh looks for it, pyenv included).
# make PYTHON=/path/to/python3.13 <target> names one instead.

VENV := .venv
PIP := $(VENV)/bin/python -m pip
PYTHON ?=
# One file stays in one process, so what a file fits or compiles once is not compiled twice.
PYTEST_ARGS ?= -n 2 --dist loadfile

# A stamp says that an installation is newer than what it was made from.
PINS := pyproject.toml constraints.txt
BASE := $(VENV)/.installed
TEST := $(VENV)/.installed-test
LINT := $(VENV)/.installed-lint
DOCS := $(VENV)/.installed-docs

# Without .pyc files `import pymc` takes four times as long.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: demo test test-slow lint format docs bench clean help

demo: $(BASE)  ## fit the flagship model on built-in data, write demo_output/
	@$(VENV)/bin/python -m pymc_mlm warmup --only weibull
	@$(VENV)/bin/python -m pymc_mlm demo

test: $(TEST)  ## run the tests (PYTEST_ARGS="-k weights" to choose)
	@$(VENV)/bin/python -m pytest $(PYTEST_ARGS)

test-slow: $(TEST)  ## run the tests that take minutes
	@$(VENV)/bin/python -m pytest -m slow $(PYTEST_ARGS)

lint: $(LINT)  ## ruff and mypy
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

format: $(LINT)  ## let ruff rewrite the files
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

docs: $(DOCS)  ## build docs/_build/html; a warning is an error
	@$(VENV)/bin/python -m sphinx -W --keep-going -b html docs docs/_build/html

bench: $(TEST)  ## run every script in benchmarks/
	@set -e; for script in $(sort $(wildcard benchmarks/*.py)); do \
		echo "== $$script"; $(VENV)/bin/python "$$script"; \
	done

clean:  ## remove what the targets wrote, but not .venv
	rm -rf build dist demo_output docs/_build docs/generated .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# A .venv whose Python is gone counts as none, and is made anew.
$(VENV)/bin/python:
	@python=$$(PYTHON="$(PYTHON)" sh scripts/find_python.sh) || exit 1; \
	echo "Making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv --clear $(VENV)

# pip's own lines and progress bars are for a terminal; a log gets one line.
define install
@echo "Installing $(1) into $(VENV); on the first run the downloads take some minutes"
@quiet=$$([ -t 1 ] || echo --quiet); \
	$(PIP) install $$quiet --compile --disable-pip-version-check -c constraints.txt -e "$(1)"
@touch $@
endef

$(BASE): $(PINS) | $(VENV)/bin/python
	$(call install,.)

$(TEST): $(PINS) | $(VENV)/bin/python
	$(call install,.[test])
	@touch $(BASE)

$(LINT): $(PINS) | $(VENV)/bin/python
	$(call install,.[lint])
	@touch $(BASE)

$(DOCS): $(PINS) | $(VENV)/bin/python
	$(call install,.[docs])
	@touch $(BASE)
