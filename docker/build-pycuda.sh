#!/bin/sh
# Compiles pycuda VERSION against this image's CUDA headers into one wheel below FOLDER.
#   build-pycuda.sh VERSION FOLDER          CUDA_ROOT and PYTHON name others than the usual
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
# Without isolation: against the numpy that the image has. pycuda 2022.1 would ask for numpy 1.12.1
# on Python 3.6, for which there is no ARM wheel.
PIP_CONSTRAINT='' PIP_DISABLE_PIP_VERSION_CHECK=1 "${PYTHON:-python3}" -m pip wheel --no-cache-dir \
    --no-deps --no-build-isolation --wheel-dir "$folder" "pycuda==$version"
