#!/bin/sh
# Do the plugins and their tests compile with other versions of TensorRT? It takes g++ and headers.
#   check_headers.sh CUDA_INCLUDES TENSORRT_INCLUDE...    CUDA_INCLUDES: folders, a colon between two
# The headers of every version lie in github.com/NVIDIA/TensorRT, folder include of branch
# release/VERSION; CUDA's in build/kernel-tools (fetch_tools.py).
set -eu

cuda=$1
shift
cd "$(dirname "$0")/.."

flags="-std=c++14 -fsyntax-only -Wall -Wextra -Wshadow -Werror -Wno-deprecated-declarations -I."
system=''
for folder in $(echo "$cuda" | tr ':' ' '); do
    system="$system -isystem $folder"
done

# compile SOURCE [OPTION] with the headers in $folder
compile() {
    # shellcheck disable=SC2086  # lists of words
    g++ $flags -DES_BUILT_FOR='""' -isystem "$folder" $system "$@"
}

for folder in "$@"; do
    major=$(sed -nE 's/.*define (NV_TENSORRT_MAJOR|TRT_MAJOR_ENTERPRISE) ([0-9]+).*/\2/p' \
        "$folder/NvInferVersion.h" | head -n 1)
    for source in plugins/*.cpp plugins/tests/*.cpp; do
        [ "$source" = plugins/plugin_v3.cpp ] && [ "$major" -lt 10 ] && continue
        compile "$source"
    done
    compile plugins/library.cpp -DES_PLUGINS_V2  # the older form, which every version has
    echo "TensorRT $major: $folder"
done
