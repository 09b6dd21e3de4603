#!/bin/sh
# Entry point of the Jetson images: refuses a host whose L4T this image was not made for, then runs
# the device runtime. CUDA and TensorRT die with riddles on the wrong host; this says it in one line.
#   entrypoint.sh --from OLDEST --to MAJOR [--release-file FILE] [--host-l4t VERSION] [--check] [COMMAND...]
# OLDEST: oldest L4T that may host it, such as 32.7; MAJOR: newest major, such as 32. --host-l4t is
# for a host without /etc/nv_tegra_release. --check ends after the checks, the driver's included.
set -eu

release_file=/etc/nv_tegra_release
host='' oldest='' newest='' check=''

refuse() {
    printf 'edgesynth: %s\n' "$1" >&2
    exit "${2:-4}"
}

# "# R32 (release), REVISION: 7.1, GCID: ..." is L4T 32.7.1.
read_release() {
    [ -r "$release_file" ] || refuse "the host's L4T is unknown, as $release_file is not here; \
start with docker/run.sh, or add -v /etc/nv_tegra_release:/etc/nv_tegra_release:ro"
    line=''
    IFS= read -r line <"$release_file" || [ -n "$line" ] || refuse "$release_file is empty"
    case $line in
        '# R'[0-9]*' (release), REVISION: '[0-9]*) ;;
        *) refuse "$release_file does not begin as NVIDIA's does (# R32 (release), REVISION: 7.1, ...)" ;;
    esac
    major=${line#'# R'}
    revision=${line#*'REVISION: '}
    host=${major%%' '*}.${revision%%,*}
}

# Is $1 a version: a number, a dot, and more numbers?
version() {
    case $1 in
        *[!0-9.]* | .* | *. | *..*) return 1 ;;
        *.*) return 0 ;;
        *) return 1 ;;
    esac
}

minor() {
    rest=${1#*.}
    printf '%s\n' "${rest%%.*}"
}

fits() {
    [ "${host%%.*}" -le "$newest" ] || return 1
    [ "${host%%.*}" -gt "${oldest%%.*}" ] && return 0
    [ "${host%%.*}" -eq "${oldest%%.*}" ] && [ "$(minor "$host")" -ge "$(minor "$oldest")" ]
}

while [ $# -gt 0 ]; do
    case $1 in
        --from | --to | --release-file | --host-l4t)
            [ $# -ge 2 ] || refuse "$1 needs a value" 2
            case $1 in
                --from) oldest=$2 ;;
                --to) newest=$2 ;;
                --release-file) release_file=$2 ;;
                --host-l4t) host=$2 ;;
            esac
            shift 2
            ;;
        --check) check=yes && shift ;;
        *) break ;;
    esac
done

version "$oldest" || refuse "--from $oldest is no L4T version such as 32.7" 2
case $newest in '' | *[!0-9]*) refuse "--to $newest is no L4T major such as 32" 2 ;; esac
[ -n "$host" ] || read_release
version "$host" || refuse "$host is no L4T version such as 32.7.1" 2
fits || refuse "this image is for hosts with L4T $oldest to $newest.x, and this host runs L4T $host; \
docker/run.sh picks the image that fits"

if [ -n "$check" ]; then
    exec python3 -c '
import ctypes
import edgesynth_rt
try:
    ctypes.CDLL("libcuda.so.1")
except OSError:
    raise SystemExit("edgesynth: the GPU driver is not in the container; start with docker/run.sh")'
fi
exec python3 -m edgesynth_rt "$@"
