"""Reading and writing that never leaves half a file behind (Python 3.6)."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from contextlib import contextmanager

from edgesynth_rt import strict_json
from edgesynth_rt.errors import UserError

_UNWRITABLE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EFBIG)


def sha256_of(path):
    """Hex SHA-256 of the file at `path`."""
    digest = hashlib.sha256()
    with open(str(path), "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def read_json(path, what):
    """The JSON object in the file at `path`; `what` names its role in error messages.

    Raises UserError when the file is absent, is not JSON, is not a JSON object, or holds what
    `strict_json` refuses.
    """
    try:
        with open(str(path), "rb") as stream:
            data = stream.read(strict_json.MAX_BYTES + 1)
    except OSError as error:
        raise UserError("%s %s cannot be read: %s" % (what, path, error.strerror))
    document = strict_json.parse(data, "%s %s" % (what, path))
    if not isinstance(document, dict):
        raise UserError("%s %s does not hold a JSON object; make it again" % (what, path))
    return document


def write_bytes(path, data):
    """Write `data` to `path` in one step: a reader sees the old file or the new one."""
    path = str(path)
    with _explained(path):
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".part-")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            _remove(temporary)
            raise


def write_json(path, document):
    """Write `document` as indented JSON in one step."""
    text = json.dumps(document, indent=2, sort_keys=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode("utf-8"))


@contextmanager
def new_folder(path):
    """Fill a folder in one step: yields a temporary folder that becomes `path` at the end.

    An existing folder at `path` is replaced only when the block succeeds.
    """
    path = os.path.abspath(str(path))
    parent = os.path.dirname(path)
    with _explained(path):
        os.makedirs(parent, exist_ok=True)
        temporary = tempfile.mkdtemp(dir=parent, prefix=".part-")
        try:
            yield temporary
            os.chmod(temporary, 0o777 & ~_umask())
            retired = None
            if os.path.lexists(path):
                retired = tempfile.mkdtemp(dir=parent, prefix=".old-")
                os.replace(path, os.path.join(retired, "was"))
            os.replace(temporary, path)
            if retired:
                _remove(retired)
        except BaseException:
            _remove(temporary)
            raise


@contextmanager
def _explained(path):
    """Turn the operating system's refusal into one line that names the file and the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError("disk full while writing %s; free some space and run again" % path)
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(
                "%s cannot be written: %s; choose another --out" % (path, error.strerror)
            )
        if error.errno in _UNWRITABLE:
            raise UserError("%s cannot be written: %s" % (path, error.strerror))
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.exists(path):
        os.remove(path)
