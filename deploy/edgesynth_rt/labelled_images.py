"""A labelled data set in one file, for accuracy on a board (Python 3.6).

An `.npz` with `images`, uint8 (n, channels, height, width), and `labels`, int64 (n,).
"""

import io
import os

import numpy as np

from edgesynth_rt import files
from edgesynth_rt.errors import UserError

MAX_BYTES = 2 << 30


def write_images(path, images, labels):
    """Write images and labels to `path`, uncompressed, in one step."""
    stream = io.BytesIO()
    np.savez(
        stream,
        images=np.ascontiguousarray(images, dtype=np.uint8),
        labels=np.ascontiguousarray(labels, dtype=np.int64),
    )
    files.write_bytes(path, stream.getvalue())


def read_images(path):
    """(images, labels) of the file at `path`; raises UserError when it is absent or damaged."""
    images, labels = read_arrays(path, ("images", "labels"))
    if images.dtype != np.uint8 or images.ndim != 4 or labels.shape != (len(images),):
        raise UserError(
            "data set %s holds %s images of shape %s and labels of shape %s, not uint8 (n, "
            "channels, height, width) and (n,)"
            % (path, images.dtype, list(images.shape), list(labels.shape))
        )
    if labels.dtype.kind not in "iu" or not len(labels):
        raise UserError("data set %s has no labels that are numbers" % path)
    return images, labels.astype(np.int64)


def read_arrays(path, names):
    """The arrays called `names` of the data set at `path`, as a list.

    Raises UserError when the file is absent, too large or damaged, or lacks one of them.
    """
    try:
        if os.path.getsize(path) > MAX_BYTES:
            raise UserError("%s is larger than %d MiB; take fewer images" % (path, MAX_BYTES >> 20))
        with np.load(path, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    except OSError as error:
        reason = error.strerror or "it is no .npz file"
        raise UserError("data set %s cannot be read: %s" % (path, reason))
    except UserError:
        raise
    except Exception as error:  # zipfile and numpy raise a dozen kinds on damaged files
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise UserError("data set %s is damaged (%s); push it again" % (path, reason))
