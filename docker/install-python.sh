#!/bin/sh
# Installs the exact versions of a requirements file, and wheels if any, for PYTHON (python3).
#   install-python.sh REQUIREMENTS [WHEEL...]
set -eu

python=${PYTHON:-python3}
requirements=$1
shift

pip() {
    # Ubuntu 24.04 marks its Python as its own, but in an image nobody else uses it.
    PIP_BREAK_SYSTEM_PACKAGES=1 PIP_CONSTRAINT='' PIP_DISABLE_PIP_VERSION_CHECK=1 \
        "$python" -m pip install --no-cache-dir --quiet "$@"
}

# Ubuntu 18.04's pip 9 knows no manylinux2014 wheels and would compile numpy for an hour. 21.3.1 is
# the last pip for Python 3.6.
if "$python" -c 'import sys; sys.exit(sys.version_info[:2] > (3, 6))'; then
    pip pip==21.3.1
    pip setuptools==59.6.0 wheel==0.37.1
fi

# Everything is named with its version, so nothing else may come along.
pip --no-deps --requirement "$requirements" "$@"
