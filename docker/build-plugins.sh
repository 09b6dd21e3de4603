#!/bin/sh
# Compiles edgesynth's plugin library with this image's nvcc, for this image's TensorRT.
#   build-plugins.sh SOURCE FOLDER ARCHITECTURES     SOURCE: the repository's kernels/;
#                                                    ARCHITECTURES: such as "53;62;72"
# CUDA_ROOT and TENSORRT_INCLUDE name others than the usual folders.
set -eu

source=$1
folder=$2
architectures=$3
cuda=${CUDA_ROOT:-/usr/local/cuda}

refuse() {
    printf 'edgesynth: %s\n' "$1" >&2
    exit 4
}

[ -x "$cuda/bin/nvcc" ] || refuse "no nvcc in $cuda/bin while building; on JetPack 4 it comes from \
the board: set \"default-runtime\": \"nvidia\" in /etc/docker/daemon.json (see docker/README.md)"

header=''
for place in ${TENSORRT_INCLUDE:-/usr/include/aarch64-linux-gnu /usr/include/x86_64-linux-gnu \
    /usr/include}; do
    [ -e "$place/NvInfer.h" ] && header=$place && break
done
[ -n "$header" ] || refuse "no NvInfer.h while building; on JetPack 4 it comes from the board: \
sudo apt-get install libnvinfer-dev nvidia-container-csv-tensorrt there (see docker/README.md)"

export PATH="$cuda/bin:$PATH"
source=$(cd "$source" && pwd)
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cd "$build"  # the CMake of JetPack 4.6 knows no -S and -B
cmake "$source" -DES_PLUGINS=ON -DES_TESTS=OFF -DES_TENSORRT_INCLUDE="$header" \
    -DES_ARCHITECTURES="$architectures"
cmake --build . --target edgesynth_plugins
cp libedgesynth_plugins.so "$folder/"
