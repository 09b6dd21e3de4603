"""Building TensorRT engines from the stages of a bundle (Python 3.6)."""

import time
from collections import namedtuple

from edgesynth_rt import onnx_wire
from edgesynth_rt.dense_form import KINDS
from edgesynth_rt.errors import CheckError, MissingError, UserError
from edgesynth_rt.int8_rule import refuse_int8
from edgesynth_rt.layer_timing import LayerTimer
from edgesynth_rt.onnx_nodes import opsets_of
from edgesynth_rt.operator_choice import choose
from edgesynth_rt.plugins import DOMAIN, HOW_TO_GET, find_missing

PRECISIONS = ("fp32", "fp16", "int8")
WORKSPACE_MIB = 256
"""A Nano shares 4 GB between everything; a build with more is often killed."""

BuildOptions = namedtuple("BuildOptions", "precision workspace_mib batch operators")
BuildOptions.__new__.__defaults__ = ("auto",)
"""batch: what a dynamic batch is fixed to; of a bundle with a fixed one it is that one. operators:
one of `operator_choice.MODES`."""

Built = namedtuple("Built", "plan timing_cache facts")
"""An engine's bytes, the timing cache afterwards or None, and what to say about the build."""


class EngineBuilder(object):
    """Builds engines with one set of options.

    api: a `tensorrt_api.TensorRT`; options: `BuildOptions`; sm: the GPU's compute capability as
    (major, minor); library: a loaded `PluginLibrary` or None; cuda: a `cudart.Cuda` to time layers
    with, None where there is no GPU; say: called with a line of talk.
    """

    def __init__(self, api, options, sm, library=None, cuda=None, say=lambda line: None):
        self._api, self._options, self._sm = api, options, sm
        self._library, self._cuda, self._say = library, cuda, say

    def build(self, stage, operators, estimates=None, timing_cache=None):
        """Build the engine of one `Stage`; returns a `Built`.

        operators: the manifest's; estimates: {node name: "plugin" or "dense"} of the exporter;
        timing_cache: bytes of an earlier one, b"" for a new one, None for none.

        Raises UserError where precision and GPU or file do not fit, MissingError where an operator
        has no plugin, CheckError with TensorRT's own words when it refuses.
        """
        begin, api = time.time(), self._api
        api.warnings.clear()
        onnx = stage.read()
        kinds = [kind for _, kind in onnx_wire.operators(onnx)]
        refuse_int8(self._sm, self._options.precision, kinds, stage.what)
        onnx, by_plugin, table = self._prepare(onnx, stage, operators, estimates)
        made = _Network(api, onnx, stage, self._options)
        custom, plugin_layers = len(_custom(onnx)), api.plugin_layers(made.network)
        if by_plugin and plugin_layers < custom:
            raise CheckError(
                "%s has %d nodes of %s but TensorRT %s made %d plugin layers of them; the others "
                "would run slowly" % (stage.what, custom, DOMAIN, api.version, plugin_layers)
            )
        layers = made.network.num_layers
        plan, cache = made.compile(self._options, timing_cache)
        facts = {
            "layers": layers,
            "plugin_layers": plugin_layers,
            "custom_nodes": custom,
            "custom_by": ("plugin" if by_plugin else "function") if custom else None,
            "operators": table,
            "seconds": round(time.time() - begin, 3),
            "size_bytes": len(plan),
            "warnings": list(api.warnings),
        }
        return Built(plan, cache, facts)

    def _prepare(self, onnx, stage, operators, estimates):
        """(ONNX bytes for the parser, whether plugins compute its operators, table of the choice).

        The table is None for a file without operators of ours.
        """
        custom, mode = _custom(onnx), self._options.operators
        if not custom:
            return onnx, False, None
        stated = {operator["type"]: operator for operator in operators}
        unstated = sorted(set(custom) - set(stated))
        if unstated:
            raise UserError(
                "%s uses operator %s, which its manifest does not list; export the bundle again"
                % (stage.what, unstated[0])
            )
        if mode == "none":
            onnx, table = choose(onnx, mode, stage.what)
            left = _custom(onnx)
            known = {name for domain, name in onnx_wire.functions(onnx) if domain == DOMAIN}
            if not left:
                return onnx_wire.without_functions(onnx), False, table
            if self._api.reads_functions and known.issuperset(left):
                return onnx, False, table
            self._demand([stated[kind] for kind in sorted(set(left))], none=True)
        else:
            self._demand([stated[kind] for kind in sorted(set(custom))])
            onnx = onnx_wire.without_functions(onnx)
            timer = (
                self._timer(onnx, stage) if mode == "auto" and set(custom) & set(KINDS) else None
            )
            onnx, table = choose(onnx, mode, stage.what, estimates, timer)
        return onnx_wire.without_functions(onnx), bool(_custom(onnx)), table

    def _demand(self, operators, none=False):
        """Raise MissingError unless every one of the manifest's `operators` has its plugin."""
        missing = find_missing(self._api, operators, self._library)
        if not missing:
            return
        candidates = all(operator["type"] in KINDS for operator in operators)
        raise MissingError(
            "no plugin for operator %s version %s is registered%s; %s%s"
            % (
                missing[0]["type"],
                missing[0]["version"],
                " by " + self._library.path if self._library is not None else "",
                HOW_TO_GET,
                ", or build without plugins: --operators none" if candidates and not none else "",
            )
        )

    def _timer(self, onnx, stage):
        """What times the layers of the model `onnx` on this GPU, None where there is none."""
        if self._cuda is None:
            return None
        made = _Network(self._api, onnx, stage, self._options)
        tensors = self._api.plugin_inputs(made.network, self._options.batch)

        def compile_model(model, what):
            network = _Network(self._api, model, None, self._options, what)
            return network.compile(self._options, None)[0]

        opsets = opsets_of(onnx)
        return LayerTimer(
            self._api, self._cuda, compile_model, opsets, tensors, stage.what, self._say
        )


class _Network(object):
    """A parsed network, with all that must live until it is compiled."""

    def __init__(self, api, onnx, stage, options, what=None):
        self._api, self._what = api, what or stage.what
        self.builder = api.module.Builder(api.log)
        self.network = api.create_network(self.builder)
        self._parser = api.parse(self.network, onnx, self._what)  # which holds the weights
        self._dynamic = stage is not None and stage.batch is None
        self._inputs, self._batch = stage.inputs if stage is not None else (), options.batch

    def compile(self, options, timing_cache):
        """(plan, timing cache afterwards or None)."""
        api = self._api
        config = self.builder.create_builder_config()
        api.set_workspace(config, options.workspace_mib << 20)
        api.set_precision(config, options.precision)
        if timing_cache is not None:
            api.set_timing_cache(config, timing_cache)
        if self._dynamic:
            config.add_optimization_profile(self._profile())
        plan = api.build(self.builder, self.network, config, self._what)
        return plan, api.timing_cache(config) if timing_cache is not None else None

    def _profile(self):
        """An optimization profile that fixes the dynamic batch."""
        profile = self.builder.create_optimization_profile()
        for tensor in self._inputs:
            shape = (self._batch,) + tuple(tensor["shape"][1:])
            profile.set_shape(tensor["name"], shape, shape, shape)
        return profile


def _custom(onnx):
    """Types of the operators of ours, in branches too, one for each node."""
    return [kind for domain, kind in onnx_wire.operators(onnx) if domain == DOMAIN]
