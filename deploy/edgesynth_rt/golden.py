"""Golden inputs and outputs: read from `.npz` without trusting a byte of it (Python 3.6).

`numpy.load` allocates whatever the header of an array asks for. Here dtype and shape come from the
manifest, the header only has to agree, and never more bytes than those are read.
"""

import io
import zipfile

import numpy as np

from edgesynth_rt.errors import UserError
from edgesynth_rt.manifest import DTYPES, REMEDY

MAX_ARRAY_BYTES = 512 << 20


def read_golden(data, what, tensors, samples):
    """The arrays `role/NAME` in the bytes `data` of an `.npz` file, all of `samples` samples.

    tensors: {"input/NAME": tensor as in the manifest, "output/NAME": ...}; the first dimension of
    its shape is the batch and becomes `samples`. what: the file's name in error messages.
    Returns {key: array of shape (samples,) + shape[1:]}.
    Raises UserError when arrays are absent, of another dtype or shape, not finite, or the file is
    damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = set(archive.namelist())
            arrays = {}
            for key in sorted(tensors):
                if key + ".npy" not in members:
                    raise UserError("%s has no array %s; %s" % (what, key, REMEDY))
                arrays[key] = _read_array(
                    archive, key, what, tensors[key]["dtype"], tensors[key]["shape"], samples
                )
            return arrays
    except UserError:
        raise
    except Exception as error:  # zipfile and numpy raise a dozen kinds on damaged files
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError("%s is damaged (%s); %s" % (what, reason[:100], REMEDY))


def _read_array(archive, key, what, dtype, shape, samples):
    shape = (samples,) + tuple(shape[1:])
    size = DTYPES[dtype]
    for extent in shape:
        size *= extent  # Python's integers, which do not overflow
    if size > MAX_ARRAY_BYTES:
        raise UserError("%s: array %s has %d bytes, which is too many" % (what, key, size))
    with archive.open(key + ".npy") as stream:
        found = _header(stream)
        if found[0] != shape or found[2] != np.dtype(dtype).newbyteorder("<"):
            raise UserError(
                "%s: array %s is %s %s, not %s %s as its manifest says; %s"
                % (what, key, found[2], list(found[0]), dtype, list(shape), REMEDY)
            )
        data = stream.read(size + 1)
    if len(data) != size:
        raise UserError(
            "%s: array %s has not the %d bytes it should; %s" % (what, key, size, REMEDY)
        )
    array = np.frombuffer(data, dtype=found[2])
    array = array.reshape(shape[::-1]).T if found[1] else array.reshape(shape)
    array = np.ascontiguousarray(array, dtype=dtype)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError("%s: array %s holds NaN or infinity; %s" % (what, key, REMEDY))
    return array


def _header(stream):
    """(shape, whether in Fortran order, dtype) from the start of a `.npy` stream."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError("array format %d.%d is not known" % version)
