#!/bin/sh
# Makes the user `edgesynth` with user id UID, who may use GPU (video) and power sensors (i2c), and
# the folders that are his. run.sh adds the host's own group numbers, which may differ.
#   make-user.sh UID
set -eu

uid=$1
case $uid in
    0 | '' | *[!0-9]*) echo "edgesynth: user id '$uid' must be a number above 0" >&2 && exit 2 ;;
esac

# Ubuntu 24.04's images have a user of their own at 1000.
other=$(getent passwd "$uid" | cut -d: -f1)
[ -z "$other" ] || userdel --remove "$other" 2>/dev/null || userdel "$other"

for group in video i2c; do
    getent group "$group" >/dev/null || groupadd --system "$group"
done
useradd --uid "$uid" --user-group --groups video,i2c --create-home --shell /bin/sh edgesynth
# A new volume takes over owner and mode of the folder that it covers.
install --directory --mode=0700 --owner="$uid" --group=edgesynth /var/cache/edgesynth
install --directory --mode=0755 --owner="$uid" --group=edgesynth /work

# The host's must be mounted; one that a base image brought along would always fit.
rm -f /etc/nv_tegra_release
