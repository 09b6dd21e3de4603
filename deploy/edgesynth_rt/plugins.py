"""The plugin library that a bundle's own operators need, loaded and searched (Python 3.6)."""

import ctypes
import os

from edgesynth_rt import files
from edgesynth_rt.errors import MissingError

DOMAIN = "edgesynth"
VARIABLE = "EDGESYNTH_PLUGINS"
HOW_TO_GET = (
    "build edgesynth's plugin library on this board (`docker/build-plugins.sh kernels lib 62`, "
    "with its own number for 62; the Docker images have it) and give it with "
    "--plugins libedgesynth_plugins.so"
)


class PluginLibrary(object):
    """A loaded library of plugins: `path` and the `sha256` of its file."""

    def __init__(self, path):
        """Load the library at `path` so that everything loaded later sees its symbols.

        Raises MissingError when the file is absent or does not load.
        """
        self.path = os.path.abspath(path)
        if not os.path.isfile(self.path):
            raise MissingError("there is no plugin library at %s; %s" % (self.path, HOW_TO_GET))
        self.sha256 = files.sha256_of(self.path)
        try:
            # what registers the plugins runs here, so it comes before parsing and deserializing
            self._library = ctypes.CDLL(self.path, ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise MissingError(
                "plugin library %s does not load (%s); build it on this board"
                % (self.path, " ".join(str(error).split())[:300])
            )


def open_plugins(path=None):
    """The library at `path`, or at what $EDGESYNTH_PLUGINS says, or None where neither is given."""
    path = path or os.environ.get(VARIABLE)
    return PluginLibrary(path) if path else None


def find_missing(api, operators, library):
    """Those of the manifest's `operators` for which no plugin is registered.

    api: a `tensorrt_api.TensorRT`; operators: dicts with type, version and perhaps namespace, the
    three that the ONNX parser searches a plugin by; library: a `PluginLibrary` or None.
    """
    missing = _absent(api, operators)
    if missing and library is not None and api.load_plugins(library.path):
        missing = _absent(api, operators)
    return missing


def _absent(api, operators):
    return [
        operator
        for operator in operators
        if api.find_plugin(operator["type"], operator["version"], operator.get("namespace", ""))
        is None
    ]
