#!/usr/bin/env bash
# The kernels on the GPU of this machine:
#   kernels/gpu.sh test     every test, then again under each tool of compute-sanitizer
#   kernels/gpu.sh bench    every benchmark, and libraries on the same layers, to benchmarks/results/
# Without a GPU or nvcc it says so in one line and ends with 0. ES_ARCHITECTURES=62 overrides what
# is found.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly build=build/kernels/cuda
readonly usage="usage: kernels/gpu.sh test|bench"

skip() {
    echo "skipped: $*"
    exit 0
}

# The compute capability of the first GPU, such as 62. A Tegra before Orin has no nvidia-smi.
architecture() {
    if [ -n "${ES_ARCHITECTURES:-}" ]; then
        echo "$ES_ARCHITECTURES"
    elif command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q '^GPU '; then
        nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d '.'
    elif [ -r /proc/device-tree/compatible ]; then
        case $(tr '\0' ' ' </proc/device-tree/compatible) in
            *tegra210*) echo 53 ;;
            *tegra186*) echo 62 ;;
            *tegra194*) echo 72 ;;
            *tegra234*) echo 87 ;;
            *tegra264*) echo 110 ;;
        esac
    fi
}

# JetPack installs nvcc beside PATH.
find_nvcc() {
    command -v nvcc || { [ -x /usr/local/cuda/bin/nvcc ] && echo /usr/local/cuda/bin/nvcc; }
}

make_build() {
    local nvcc sm
    sm=$(architecture)
    [ -n "$sm" ] || skip "no NVIDIA GPU on this machine"
    nvcc=$(find_nvcc) || skip "no nvcc on this machine; JetPack and the CUDA toolkit bring it"
    mkdir -p $build
    local kernels=$PWD/kernels  # the CMake of JetPack 4.6 knows no -S and -B
    (cd $build && CUDACXX=$nvcc cmake "$kernels" -DES_EMULATION=OFF -DES_ARCHITECTURES="$sm" \
        -DES_TESTS=ON -DES_BENCHMARKS=ON) >$build.log || { cat $build.log && exit 1; }
    cmake --build $build -- -j "${JOBS:-2}"
}

# cuda-memcheck is its name before CUDA 11, with the same tools and options.
sanitize() {
    local sanitizer tool
    sanitizer=$(command -v compute-sanitizer || command -v cuda-memcheck) ||
        { echo "skipped: no compute-sanitizer on this machine" && return; }
    for tool in memcheck racecheck initcheck synccheck; do
        echo "=== $1 under $tool"
        "$sanitizer" --tool "$tool" --error-exitcode 9 "$1"
    done
}

run_tests() {
    local test
    for test in "$build"/*_test; do
        echo "=== $test"
        "$test"
        sanitize "$test"
    done
}

# The same layers by cuBLAS, cuDNN and cuSPARSE, where PyTorch with CUDA is installed.
run_libraries() {
    local python script name
    python=$(for each in .venv/bin/python python3; do
        "$each" -c 'import torch; raise SystemExit(not torch.cuda.is_available())' 2>/dev/null &&
            echo "$each" && break
    done) || { echo "skipped: no PyTorch with CUDA, so no comparison with libraries" && return; }
    for script in kernels/*/*_libraries.py; do
        [ -e "$script" ] || continue
        name=$(basename "$script" _libraries.py)
        echo "=== libraries on the layers of $name"
        rm -f "$1/libraries-$name.jsonl"
        "$python" "$script" "$1/libraries-$name.jsonl"
    done
}

run_benchmarks() {
    local benchmark results name
    results=benchmarks/results
    mkdir -p $results
    for benchmark in "$build"/*_benchmark; do
        name=$(basename "$benchmark" _benchmark)
        echo "=== $name"
        rm -f "$results/kernels-$name.jsonl"
        "$benchmark" --json "$results/kernels-$name.jsonl"
    done
    nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem --format=csv \
        >$results/kernels-gpu.csv 2>/dev/null || true
    run_libraries $results
}

mkdir -p build/kernels
case ${1:-} in
    test) make_build && run_tests ;;
    bench) make_build && run_benchmarks ;;
    *) echo "$usage" >&2 && exit 2 ;;
esac
