# Hearthwatch: `make` lists what there is to make. Only Python 3.11 or newer and make are assumed.
.DEFAULT_GOAL := help
.NOTPARALLEL: # one .venv is set up by one process at a time
.SUFFIXES:

PY := .venv/bin/python
OUT ?= out
PORT_OFFSET ?= 0
NETWORKS ?= all
# Tests at a time, each file of them in one process: an engine in each takes about a gigabyte.
WORKERS ?= 2
PYTEST := $(PY) -m pytest -q -n $(WORKERS) --dist loadfile
export PYTHON UV UPGRADE

# An environment that was copied here with the project, or whose Python is gone, counts as none.
ifneq ($(shell test -x $(PY) && cat .venv/.home 2>/dev/null),$(shell pwd -P))
STALE := stale
endif

.PHONY: help run demo analyze install test test-all check bench sample-zoo lock clean stale

# A name with spaces in it is one photo where it is there, else several.
define ANALYZE
if test -e "$(PHOTO)"; then set -- "$(PHOTO)"; else set -- $(PHOTO); fi; \
$(PY) -m hearthwatch analyze --out "$(OUT)" "$$@"
endef

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "make %-10s %s\n", $$1, $$2 }'

run: .venv/.base ## set up, show a drawn evening scene, and serve until Ctrl-C (PORT_OFFSET=1000: other ports)
ifdef PHOTO
	@echo "With PHOTO, this is 'make analyze'; without, it shows a drawn scene and serves." >&2
	@$(ANALYZE)
else
	@$(PY) -m hearthwatch demo --serve --port-offset "$(PORT_OFFSET)" --out "$(OUT)"
endif

demo: .venv/.base ## the same scene once, without services
	@$(PY) -m hearthwatch demo --out "$(OUT)"

analyze: .venv/.base ## set up, then analyse PHOTO="a.jpg b.mp4" into OUT=out
	@test -n "$(PHOTO)" || { echo 'Name a photo: make analyze PHOTO=front-door.jpg' >&2; exit 2; }
	@$(ANALYZE)

install: .venv/.base ## set up .venv with the hearthwatch command in it
	@echo "Installed: .venv/bin/hearthwatch --help"

test: check ## set up, run the checks, then the first tier of tests
	@$(PYTEST) -m "not slow"

test-all: .venv/.torch ## set up with PyTorch, then run every test but what just passed (AGAIN=1: that too)
	@$(PYTEST) $(if $(AGAIN),,--not-again)

check: .venv/.dev ## ruff, mypy --strict, import layers, links in the documents
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy --strict src tests benchmarks tools training
	@.venv/bin/lint-imports
	@$(PY) tools/check_links.py

bench: .venv/.dev ## run the benchmarks
	@$(PY) -m benchmarks

sample-zoo: .venv/.torch ## train the sample networks again where their recipes have changed (NETWORKS=person_reid: one)
	@$(PY) -m training $(NETWORKS)

lock: ## resolve requirements/*.lock afresh (UPGRADE=1: newest versions)
	@tools/lock.sh

clean: ## remove .venv and every cache (results in out/ stay)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.base: requirements/base.lock pyproject.toml $(STALE)
	@tools/setup.sh base

.venv/.torch: requirements/torch.txt .venv/.dev
	@tools/setup.sh torch

.venv/.dev: requirements/dev.lock pyproject.toml $(STALE)
	@tools/setup.sh dev
