# Every target does the set-up that it needs: see .ci/setup.

OUT ?= demo
JOBS ?= 2
BIN := .venv/bin

KERNELS := build/kernels

.PHONY: help demo test kernels kernel-report gpu-test gpu-bench
.PHONY: lint ruff mypy imports shellcheck hadolint clean

help:  ## show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1#\2/p' Makefile | column -t -s '#'

demo:  ## train, synthesize, export, check, measure, predict and report in OUT (default: demo)
	@.ci/setup dataset-fashion-mnist
	$(BIN)/edgesynth demo --out $(OUT)

test: kernels  ## all tests, the device runtime on Python 3.6 too where that is installed
	@.ci/setup dataset-fashion-mnist chromium openssh-server cmake g++ make
	@if [ -x .ci/python36 ]; then .ci/python36; fi
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

kernels:  ## the kernels for this machine's processor: library for Python, tests under sanitizers
	@.ci/setup cmake g++ make
	$(BIN)/python kernels/fetch_tools.py
	cmake -S kernels -B $(KERNELS)/host -DES_EMULATION=ON -DES_BENCHMARKS=ON -DES_PLUGINS=ON
	cmake --build $(KERNELS)/host -- -j $(JOBS)
	cmake -S kernels -B $(KERNELS)/asan -DES_EMULATION=ON -DES_BENCHMARKS=ON -DES_PLUGINS=ON \
	    -DES_SANITIZE=ON
	cmake --build $(KERNELS)/asan -- -j $(JOBS)

kernel-report: kernels  ## registers, spills, shared memory, occupancy on every Jetson's SM
	$(BIN)/python kernels/kernel_resources.py $(KERNELS)/host

gpu-test:  ## the kernels' tests on this machine's GPU, under compute-sanitizer too
	@kernels/gpu.sh test

gpu-bench:  ## the kernels' benchmarks on this machine's GPU, to benchmarks/results
	@kernels/gpu.sh bench

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
