"""Opening a bundle: manifest checked, paths kept inside, every hash verified (Python 3.6)."""

import hashlib
import os
import shutil
import tempfile
import weakref

import numpy as np

from edgesynth_rt import archive, golden, onnx_wire, strict_json
from edgesynth_rt.errors import UserError
from edgesynth_rt.fields import Field
from edgesynth_rt.manifest import (
    DYNAMIC_BATCH,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    REMEDY,
    check_manifest,
)
from edgesynth_rt.policy import read_policy


def open_bundle(path):
    """Open the bundle in the folder or `.tar` file at `path`, verified to the last byte.

    Raises UserError, in one line that names the file and the place, when the manifest is wrong, a
    path leaves the bundle, a file is absent or changed, or an ONNX file is not self-contained.
    """
    path = str(path)
    if os.path.isdir(path):
        if not os.path.lexists(os.path.join(path, MANIFEST)):
            raise UserError(
                "%s is no bundle, it has no %s; make one with `edgesynth export`" % (path, MANIFEST)
            )
        return Bundle(path, path)
    if not os.path.isfile(path):
        raise UserError("there is no bundle at %s; make one with `edgesynth export`" % path)
    if not path.endswith(".tar"):
        raise UserError(
            "%s is neither a bundle folder nor a .tar file of one; make one with "
            "`edgesynth export`" % path
        )
    temporary = tempfile.mkdtemp(prefix="edgesynth-")
    try:
        return Bundle(archive.unpack(path, temporary), path, temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


class Stage(object):
    """One ONNX file of a bundle and its tensors: dicts of `name`, `dtype`, `shape`."""

    def __init__(self, document, bundle):
        self.id = document["id"]
        self.inputs = document["inputs"]
        self.outputs = document["outputs"]
        self.gate = document.get("gate")
        """Names of what its exit-gate operator takes and gives: `threshold`, a float32 input of
        one element besides `inputs`, `exit` and `confidence` among `outputs`; None without one."""
        self._document = document
        self._bundle = bundle

    @property
    def batch(self):
        """The fixed batch, or None when it is dynamic."""
        first = self.inputs[0]["shape"][0]
        return None if first == DYNAMIC_BATCH else first

    @property
    def what(self):
        """The file's name for messages."""
        return "%s/%s" % (self._bundle.path, self._document["onnx"])

    def read(self):
        """The bytes of the ONNX file; the very bytes returned are the ones verified."""
        return self._bundle.read_verified(self._document["onnx"], self._document["sha256"])


class Bundle(object):
    """An open bundle. Use as a context manager where it may come from a `.tar` file."""

    def __init__(self, folder, path, temporary=None):
        self.path = path.rstrip("/") or path
        self._folder = os.path.realpath(folder)
        data = self._read(MANIFEST, MAX_MANIFEST_BYTES)
        where = "%s/%s" % (self.path, MANIFEST)
        self.manifest = strict_json.parse(data, where)
        check_manifest(self.manifest, where)
        self.id = hashlib.sha256(data).hexdigest()
        self.stages = [Stage(stage, self) for stage in self.manifest["stages"]]
        self.policy = self._read_policy(where)
        for stage in self.stages:
            onnx_wire.check_self_contained(stage.read(), stage.what)
        self._golden()  # also verifies its hash
        self.close = (
            weakref.finalize(self, shutil.rmtree, temporary, True) if temporary else lambda: None
        )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    @property
    def name(self):
        """The bundle's name, fit for naming files."""
        return self.manifest["name"]

    @property
    def labels(self):
        """The class names, by index; empty when unknown."""
        return self.manifest["labels"]

    @property
    def cost(self):
        """{"params", "macs", "size_bytes"}, None where unknown."""
        known = self.manifest["cost"]
        return {key: known.get(key) for key in ("params", "macs", "size_bytes")}

    def files(self):
        """{relative path: (path here, SHA-256)} of the manifest and all that it names."""
        named = {stage["onnx"]: stage["sha256"] for stage in self.manifest["stages"]}
        named[self.manifest["golden"]["file"]] = self.manifest["golden"]["sha256"]
        named[MANIFEST] = self.id
        return {
            relative: (os.path.join(self._folder, *relative.split("/")), sha256)
            for relative, sha256 in named.items()
        }

    @property
    def inputs(self):
        """What the first stage takes: dicts of `name`, `dtype`, `shape`."""
        return self.stages[0].inputs

    @property
    def outputs(self):
        """What the last stage gives: dicts of `name`, `dtype`, `shape`.

        With a policy the one tensor of the answers: it is the logits of whichever stage gave them.
        """
        if self.policy is None:
            return self.stages[-1].outputs
        last = self.policy.nodes[-1].logits
        return [tensor for tensor in self.stages[-1].outputs if tensor["name"] == last]

    @property
    def golden_outputs(self):
        """The tensors with golden values: `outputs`, or with a policy the logits of every stage.

        So they say nothing of thresholds, which may be changed.
        """
        if self.policy is None:
            return self.stages[-1].outputs
        names = set(self.policy.logits)
        return [each for stage in self.stages for each in stage.outputs if each["name"] in names]

    @property
    def batch(self):
        """The fixed batch, or None when it is dynamic."""
        return self.stages[0].batch

    @property
    def single_stage(self):
        """The only stage; raises UserError where a policy joins several."""
        policy = self.policy is not None
        if len(self.stages) != 1 or policy:
            raise UserError(
                "bundle %s has %d stages%s; this takes one stage without a policy"
                % (self.path, len(self.stages), " and a policy" if policy else "")
            )
        return self.stages[0]

    def golden(self):
        """(inputs, outputs): two dicts from tensor name to an array, first axis the samples."""
        arrays = self._golden()
        sides = {"input": {}, "output": {}}
        for key, array in arrays.items():
            side, _, name = key.partition("/")
            sides[side][name] = array
        return sides["input"], sides["output"]

    def preprocess(self, pixels):
        """Raw images to the network's input: (pixel * scale - mean) / std.

        pixels: uint8 of shape (n, channels, height, width). Returns float32 of the same shape.
        Raises UserError when the manifest states no preprocessing or the images do not fit it.
        """
        stated = self.manifest["preprocessing"]
        if stated is None:
            raise UserError(
                "bundle %s states no preprocessing, so raw images cannot be fed to it; "
                "export it with the data set's mean and std" % self.path
            )
        channels = len(stated["mean"])
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1] != channels:
            raise UserError(
                "bundle %s takes uint8 images of shape (n, %d, height, width), not %s %s"
                % (self.path, channels, pixels.dtype, list(pixels.shape))
            )
        images = pixels.astype(np.float32) * np.float32(stated["scale"])
        images -= np.asarray(stated["mean"], np.float32).reshape(1, channels, 1, 1)
        images /= np.asarray(stated["std"], np.float32).reshape(1, channels, 1, 1)
        return images

    def read_verified(self, relative, sha256):
        """The bytes of a file of the bundle; raises UserError when its hash is another."""
        data = self._read(relative)
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise UserError(
                "%s/%s was changed: its SHA-256 begins %s, the manifest says %s; %s"
                % (self.path, relative, found[:12], sha256[:12], REMEDY)
            )
        return data

    def _read_policy(self, where):
        stated = self.manifest.get("policy")
        if stated is None:
            return None
        return read_policy(Field(stated, where, REMEDY, "policy"), [s.id for s in self.stages])

    def _golden(self):
        stated = self.manifest["golden"]
        tensors = {"input/" + tensor["name"]: tensor for tensor in self.stages[0].inputs}
        tensors.update({"output/" + tensor["name"]: tensor for tensor in self.golden_outputs})
        data = self.read_verified(stated["file"], stated["sha256"])
        what = "%s/%s" % (self.path, stated["file"])
        return golden.read_golden(data, what, tensors, stated["samples"])

    def _read(self, relative, most=None):
        """The bytes of a regular file whose real place is inside the bundle."""
        path = os.path.join(self._folder, *relative.split("/"))
        real = os.path.realpath(path)
        if not real.startswith(self._folder + os.sep):
            raise UserError(
                "%s/%s is a link that leaves the bundle; %s" % (self.path, relative, REMEDY)
            )
        if not os.path.isfile(real):
            raise UserError("%s/%s is missing; %s" % (self.path, relative, REMEDY))
        if most is not None and os.path.getsize(real) > most:
            raise UserError(
                "%s/%s is larger than %d MiB; %s" % (self.path, relative, most >> 20, REMEDY)
            )
        try:
            with open(real, "rb") as stream:
                return stream.read()
        except OSError as error:
            raise UserError("%s/%s cannot be read: %s" % (self.path, relative, error.strerror))
