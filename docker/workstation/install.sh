#!/bin/sh
# Installs edgesynth from the source folder SOURCE with the pinned versions and torch's CPU build.
#   install.sh SOURCE
set -eu

source=$1
# An environment variable, so that it holds for what only building the wheel needs as well.
export PIP_CONSTRAINT="$source/constraints.txt"

torch=$(sed -n 's/^torch==//p' "$source/constraints.txt")
pip install --no-cache-dir --no-deps \
    --index-url https://download.pytorch.org/whl/cpu "torch==$torch+cpu"
pip install --no-cache-dir "$source"
