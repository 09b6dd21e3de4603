#!/usr/bin/env bash
# Runs the image that fits this Jetson, with its GPU, power sensors and the present folder as /work:
#   docker/run.sh [--dry-run] [--build] [--image NAME] [--host-root DIR] [COMMAND...]
# COMMAND is one of the device runtime's, such as: bench child.bundle. --build makes the image first.
# --dry-run prints the docker commands instead. --host-root reads the host's facts below DIR.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dry_run='' build='' image='' root=''

fail() {
    printf 'run.sh: %s\n' "$1" >&2
    exit "${2:-4}"
}

value() { [ "$1" -ge 2 ] || fail "$2 needs a value" 2; }

while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=yes && shift ;;
        --build) build=yes && shift ;;
        --image) value $# "$1" && image=$2 && shift 2 ;;
        --host-root) value $# "$1" && root=${2%/} && shift 2 ;;
        -h | --help) sed -n '2,5s/^# //p' "${BASH_SOURCE[0]}" && exit 0 ;;
        --) shift && break ;;
        -*) fail "no option $1; see docker/run.sh --help" 2 ;;
        *) break ;;
    esac
done

readonly release_file=$root/etc/nv_tegra_release
mounts=()
entry=()

# L4T of the host, such as 32.7.1: from NVIDIA's release file, else from the package that brings it.
host_l4t() {
    local line package
    if [ -r "$release_file" ]; then
        IFS= read -r line <"$release_file" || true
        [[ $line =~ ^'# R'([0-9]+)' (release), REVISION: '([0-9.]+) ]] ||
            fail "$release_file does not begin as NVIDIA's does (# R32 (release), REVISION: 7.1, ...)"
        printf '%s.%s\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
        return
    fi
    package=$(dpkg-query --admindir="$root/var/lib/dpkg" --showformat='${Version}' \
        --show nvidia-l4t-core 2>/dev/null) ||
        fail "this is no Jetson: neither $release_file nor the package nvidia-l4t-core is here"
    printf '%s\n' "${package%%-*}"
}

# JetPack line of an L4T version; where the lines end: docker/README.md.
jetpack_of() {
    local minor=${1#*.}
    case ${1%%.*}/${minor%%.*} in
        32/[7-9]) echo jetpack-4.6 ;;
        35/[1-9]) echo jetpack-5.1 ;;
        36/[4-9]) echo jetpack-6.2 ;;
        38/* | 39/*) echo jetpack-7 ;;
        *) fail "there is no image for L4T $1; those for 32.7, 35, 36.4, 38 and 39 are in docker/" ;;
    esac
}

# Mount $1 of the host read-only at the same place, if it is there: docker would make a folder.
mount_present() {
    [ ! -e "$root$1" ] || mounts+=(--volume "$root$1:$1:ro")
}

# The host's own numbers of the groups that may use GPU and sensors; the image's can differ.
group_options() {
    local name number
    for name in video render i2c; do
        number=$(awk -F: -v name="$name" '$1 == name { print $3 }' "$root/etc/group" 2>/dev/null || true)
        [ -z "$number" ] || printf '%s\n' --group-add "$number"
    done
}

# How the container gets the GPU.
gpu_options() {
    local spec
    case $1 in
        jetpack-7) ;;
        # R32: NVIDIA's runtime mounts CUDA, cuDNN and TensorRT too, from its csv files. R35, R36:
        # the driver alone.
        *) printf '%s\n' --runtime nvidia && return ;;
    esac
    for spec in "$root"/etc/cdi/nvidia*.y*ml "$root"/var/run/cdi/nvidia*.y*ml; do
        [ ! -e "$spec" ] || { printf '%s\n' --device nvidia.com/gpu=all && return; }
    done
    printf '%s\n' --runtime nvidia --gpus all
}

# Print the command, as it could be pasted, or run it.
run() {
    if [ -n "$dry_run" ]; then
        local words
        printf -v words '%q ' "$@"
        printf '%s\n' "${words% }"
    else
        "$@"
    fi
}

l4t=$(host_l4t)
jetpack=$(jetpack_of "$l4t")
: "${image:=edgesynth:$jetpack}"

user_id=${SUDO_UID:-$(id -u)}
[ "$user_id" -ne 0 ] || user_id=1000
if [ -n "$build" ]; then
    run docker build --file "$repository/docker/$jetpack/Dockerfile" --tag "$image" \
        --build-arg "EDGESYNTH_UID=$user_id" "$repository"
fi

if [ -r "$release_file" ]; then
    mount_present /etc/nv_tegra_release
else
    entry=(--host-l4t "$l4t")
fi
mounts+=(--volume "$root/sys:/sys:ro") # power sensors (INA3221), clocks, temperatures
mount_present /usr/bin/tegrastats
mount_present /etc/nvpmodel.conf
mount_present /var/lib/nvpmodel/status
mapfile -t gpu < <(gpu_options "$jetpack")
mapfile -t groups < <(group_options)
terminal=()
[ ! -t 0 ] || [ ! -t 1 ] || terminal=(--interactive --tty)

# Docker hides /sys/firmware, where the module's name is; `systempaths` shows it again. What Linux
# forbids to a user without root stays forbidden.
command=(docker run --rm "${terminal[@]}" "${gpu[@]}" "${groups[@]}"
    --network none --security-opt no-new-privileges --security-opt systempaths=unconfined
    "${mounts[@]}"
    --volume "edgesynth-$jetpack:/var/cache/edgesynth"
    --volume "$PWD:/work"
    "$image" "${entry[@]}" "$@")
run "${command[@]}"
