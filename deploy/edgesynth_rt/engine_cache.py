"""Engines of this board on disk, each beside a file that says what it is (Python 3.6).

An engine belongs to one GPU, one TensorRT, one bundle and one set of options. All of these are its
key, and an engine is stored only after it computed the bundle's golden outputs. Loading an engine
runs what is in it, so the folder must belong to the user alone.
"""

import hashlib
import json
import os

from edgesynth_rt import files
from edgesynth_rt.errors import UserError

SCHEMA = "edgesynth.engine/1"
_NAME_LENGTH = 24


def default_folder():
    """Where engines lie: $XDG_CACHE_HOME/edgesynth/engines, by default below ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "edgesynth", "engines")


def engine_key(device, tensorrt, bundle, stage, options, plugins):
    """Everything that an engine depends on, as a dict of plain values.

    device: a `cudart.Device`; tensorrt: its version; bundle: an open `Bundle`; stage: one of its
    stages; options: `engine_build.BuildOptions`; plugins: a `PluginLibrary` or None.
    """
    return {
        "gpu": device.name,
        "sm": "%d.%d" % device.sm,
        "tensorrt": tensorrt,
        "cuda": device.runtime,
        "bundle": bundle.id,
        "stage": stage.id,
        "options": dict(options._asdict()),
        "plugins": plugins.sha256 if plugins is not None else None,
    }


class EngineCache(object):
    """The engines in `folder`, which is made when it is not there.

    Raises UserError when the folder cannot be made, or when others may write in it.
    """

    def __init__(self, folder=None):
        self.folder = os.path.abspath(folder or default_folder())
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            state = os.stat(self.folder)
        except OSError as error:
            raise UserError(
                "the folder for engines %s cannot be made: %s; choose another with --cache"
                % (self.folder, error.strerror)
            )
        if state.st_uid != os.geteuid() or state.st_mode & 0o022:
            raise UserError(
                "others may write in the folder for engines %s, and loading an engine runs what is "
                "in it; choose another with --cache, or `chmod 700` it" % self.folder
            )

    def find(self, key):
        """(engine bytes, its document) of the verified engine with this key, or None.

        An engine that is damaged, or whose document says another key, counts as not there.
        """
        try:
            document = files.read_json(self._path(key, ".json"), "engine")
            with open(self._path(key, ".engine"), "rb") as stream:
                plan = stream.read()
        except (UserError, OSError):
            return None
        whole = (
            document.get("schema") == SCHEMA
            and document.get("key") == key
            and bool(document.get("verified"))
            and document.get("sha256") == hashlib.sha256(plan).hexdigest()
        )
        return (plan, document) if whole else None

    def store(self, key, plan, verified, facts):
        """Keep an engine; returns its document.

        verified: how well it computed the golden outputs; facts: what the build tells. The engine
        is written before its document, so a document without its engine is never seen.
        """
        document = {
            "schema": SCHEMA,
            "key": key,
            "sha256": hashlib.sha256(plan).hexdigest(),
            "verified": verified,
            "build": facts,
        }
        files.write_bytes(self._path(key, ".engine"), plan)
        files.write_json(self._path(key, ".json"), document)
        return document

    def timing_cache(self, key):
        """The bytes of the timing cache for the GPU and TensorRT of `key`, b"" without one."""
        try:
            with open(self._timing_path(key), "rb") as stream:
                return stream.read()
        except OSError:
            return b""

    def store_timing_cache(self, key, data):
        """Keep what the build measured, for the next one on the same GPU and TensorRT."""
        files.write_bytes(self._timing_path(key), data)

    def path(self, key):
        """Where the engine with this key lies, or would."""
        return self._path(key, ".engine")

    def _path(self, key, suffix):
        return os.path.join(self.folder, _digest(key) + suffix)

    def _timing_path(self, key):
        board = {name: key[name] for name in ("gpu", "sm", "tensorrt", "cuda")}
        return os.path.join(self.folder, _digest(board) + ".timing")


def _digest(key):
    text = json.dumps(key, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:_NAME_LENGTH]
