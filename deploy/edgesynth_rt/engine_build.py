"""Building TensorRT engines from the stages of a bundle (Python 3.6)."""

import time
from collections import namedtuple

from edgesynth_rt import onnx_wire
from edgesynth_rt.errors import CheckError, MissingError, UserError
from edgesynth_rt.int8_rule import refuse_int8
from edgesynth_rt.plugins import DOMAIN, find_missing

PRECISIONS = ("fp32", "fp16", "int8")
WORKSPACE_MIB = 256
"""A Nano shares 4 GB between everything; a build with more is often killed."""

BuildOptions = namedtuple("BuildOptions", "precision workspace_mib batch")
"""batch: what a dynamic batch is fixed to; of a bundle with a fixed one it is that one."""

Built = namedtuple("Built", "plan timing_cache facts")
"""An engine's bytes, the timing cache afterwards or None, and what to say about the build."""


def build_engine(api, stage, operators, options, sm, library=None, timing_cache=None):
    """Build the engine of one `Stage`; returns a `Built`.

    api: a `tensorrt_api.TensorRT`; operators: the manifest's; options: `BuildOptions`; sm: the
    GPU's compute capability as (major, minor); library: a loaded `PluginLibrary` or None;
    timing_cache: bytes of an earlier one, b"" for a new one, None for none.

    Raises UserError where precision and GPU or file do not fit, MissingError where an operator has
    neither plugin nor function, CheckError with TensorRT's own words when it refuses.
    """
    begin = time.time()
    api.warnings.clear()
    onnx, custom, by_plugin = _prepare(api, stage, operators, options, sm, library)
    builder = api.module.Builder(api.log)
    network = api.create_network(builder)
    parser = api.parse(network, onnx, stage.what)
    plugin_layers = api.plugin_layers(network)
    if by_plugin and plugin_layers < custom:
        raise CheckError(
            "%s has %d nodes of %s but TensorRT %s made %d plugin layers of them; the others would "
            "run slowly" % (stage.what, custom, DOMAIN, api.version, plugin_layers)
        )
    config = builder.create_builder_config()
    api.set_workspace(config, options.workspace_mib << 20)
    api.set_precision(config, options.precision)
    if timing_cache is not None:
        api.set_timing_cache(config, timing_cache)
    if stage.batch is None:
        config.add_optimization_profile(_profile(builder, stage, options.batch))
    layers = network.num_layers
    plan = api.build(builder, network, config, stage.what)
    del parser  # holds the weights until the engine is built
    facts = {
        "layers": layers,
        "plugin_layers": plugin_layers,
        "custom_nodes": custom,
        "custom_by": ("plugin" if by_plugin else "function") if custom else None,
        "seconds": round(time.time() - begin, 3),
        "size_bytes": len(plan),
        "warnings": list(api.warnings),
    }
    return Built(plan, api.timing_cache(config) if timing_cache is not None else None, facts)


def _prepare(api, stage, operators, options, sm, library):
    """(ONNX bytes for the parser, number of custom nodes, whether plugins compute them)."""
    onnx = stage.read()
    nodes = onnx_wire.operators(onnx)
    refuse_int8(sm, options.precision, [kind for _, kind in nodes], stage.what)
    custom = [kind for domain, kind in nodes if domain == DOMAIN]
    needed = [operator for operator in operators if operator["type"] in custom]
    unstated = sorted(set(custom) - {operator["type"] for operator in needed})
    if unstated:
        raise UserError(
            "%s uses operator %s, which its manifest does not list; export the bundle again"
            % (stage.what, unstated[0])
        )
    missing = find_missing(api, needed, library)
    if not missing:
        return (onnx_wire.without_functions(onnx) if custom else onnx), len(custom), bool(custom)
    known = {name for domain, name in onnx_wire.functions(onnx) if domain == DOMAIN}
    if api.reads_functions and known.issuperset(custom):
        return onnx, len(custom), False
    raise MissingError(
        "no plugin for operator %s version %s is registered%s; give the plugin library built on "
        "this board with --plugins libedgesynth_plugins.so"
        % (
            missing[0]["type"],
            missing[0]["version"],
            " by " + library.path if library is not None else "",
        )
    )


def _profile(builder, stage, batch):
    """An optimization profile that fixes the dynamic batch."""
    profile = builder.create_optimization_profile()
    for tensor in stage.inputs:
        shape = (batch,) + tuple(tensor["shape"][1:])
        profile.set_shape(tensor["name"], shape, shape, shape)
    return profile
