# Every target does the set-up that it needs: see .ci/setup.

OUT ?= demo
JOBS ?= 2
BIN := .venv/bin

.PHONY: help demo test lint ruff mypy imports shellcheck hadolint clean

help:  ## show this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1#\2/p' Makefile | column -t -s '#'

demo:  ## train, synthesize, export, check, measure, predict and report in OUT (default: demo)
	@.ci/setup dataset-fashion-mnist
	$(BIN)/edgesynth demo --out $(OUT)

test:  ## all tests, the device runtime on Python 3.6 too where that is installed
	@.ci/setup dataset-fashion-mnist chromium openssh-server
	@if [ -x .ci/python36 ]; then .ci/python36; fi
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

lint: ruff mypy imports shellcheck hadolint  ## style, types, layers, shell scripts, Dockerfiles

ruff:
	@.ci/setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

mypy:
	@.ci/setup
	$(BIN)/mypy

imports:
	@.ci/setup
	$(BIN)/lint-imports

shellcheck:
	@.ci/setup shellcheck
	shellcheck $$(git ls-files '.ci/*' '*.sh')

hadolint:
	@.ci/setup
	$(BIN)/hadolint docker/*/Dockerfile

clean:  ## remove the environment, caches and the demo's folder
	rm -rf .venv .venv36 .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf build dist $(OUT)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
