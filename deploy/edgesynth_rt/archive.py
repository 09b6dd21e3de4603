"""Unpacking a bundle that travels as one `.tar` file (Python 3.6, which has no tar filters).

Only plain files and folders with harmless names are taken; everything else is refused, so the
worst that a hostile archive can do is not to be opened.
"""

import os
import tarfile

from edgesynth_rt.errors import UserError

MAX_MEMBERS = 1000
MAX_BYTES = 4 << 30
_REMEDY = "pack the bundle again with `tar -cf NAME.tar -C NAME.bundle .`"


def unpack(path, folder):
    """Unpack the `.tar` at `path` into the existing, empty `folder`.

    Returns the folder that holds the bundle: `folder`, or the only folder at its top.
    Raises UserError when the archive is compressed, damaged, too large, or holds links, devices
    or names that leave the folder.
    """
    try:
        with tarfile.open(str(path), "r:") as archive:
            _extract(archive, path, folder)
    except UserError:
        raise
    except tarfile.TarError as error:
        raise _damaged(path, error)
    except OSError as error:
        raise UserError("%s cannot be unpacked: %s" % (path, error.strerror or error))
    except Exception as error:  # tarfile raises a dozen other kinds on damaged headers
        raise _damaged(path, error)
    entries = os.listdir(folder)
    only = os.path.join(folder, entries[0]) if len(entries) == 1 else ""
    return only if os.path.isdir(only) else folder


def _damaged(path, error):
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UserError(
        "%s is not a whole, uncompressed tar file (%s); %s" % (path, reason[:100], _REMEDY)
    )


def _extract(archive, path, folder):
    members, total = 0, 0
    for member in archive:
        members += 1
        total += member.size
        if members > MAX_MEMBERS or total > MAX_BYTES:
            raise UserError(
                "%s holds more than %d files or %d GiB; it is no bundle"
                % (path, MAX_MEMBERS, MAX_BYTES >> 30)
            )
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        plain = member.isdir() or (member.isfile() and not member.issparse())
        leaves = ".." in parts or member.name.startswith("/") or "\\" in member.name
        if not plain or leaves or member.size < 0:
            raise UserError(
                "%s: member %r is a link, a device or leaves the folder; %s"
                % (path, member.name[:80], _REMEDY)
            )
        target = os.path.join(folder, *parts)
        if member.isdir():
            os.makedirs(target, exist_ok=True)
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _copy(archive.extractfile(member), target, member, path)


def _copy(source, target, member, path):
    left = member.size
    with open(target, "xb") as stream:
        while left:
            block = source.read(min(left, 1 << 20))
            if not block:
                raise UserError("%s ends inside %r; %s" % (path, member.name[:80], _REMEDY))
            stream.write(block)
            left -= len(block)
