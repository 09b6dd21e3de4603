#!/bin/sh
# Compiles pycuda VERSION against this image's CUDA headers into one wheel below FOLDER.
#   build-pycuda.sh VERSION FOLDER
set -eu

version=$1
folder=$2
cuda=${CUDA_ROOT:-/usr/local/cuda}

if [ ! -e "$cuda/include/cuda.h" ]; then
    echo "edgesynth: no CUDA headers in $cuda while building; on JetPack 4 they come from the board:" \
        'set "default-runtime": "nvidia" in /etc/docker/daemon.json (see docker/README.md)' >&2
    exit 4
fi

# The driver library is the host's; to link, the toolkit's stub is enough.
export CUDA_ROOT="$cuda" PATH="$cuda/bin:$PATH" LIBRARY_PATH="$cuda/lib64/stubs:$cuda/lib64"
PIP_CONSTRAINT='' PIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip wheel --no-cache-dir --no-deps \
    --wheel-dir "$folder" "pycuda==$version"
