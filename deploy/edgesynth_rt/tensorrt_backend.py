"""Engines for bundles: found in the cache or built, proven by the golden outputs (Python 3.6)."""

from edgesynth_rt.chain import check_chain
from edgesynth_rt.cudart import Cuda
from edgesynth_rt.engine_build import WORKSPACE_MIB, BuildOptions, EngineBuilder
from edgesynth_rt.engine_cache import EngineCache, engine_key
from edgesynth_rt.errors import CheckError, UserError
from edgesynth_rt.plugins import open_plugins
from edgesynth_rt.tensorrt_api import TensorRT, import_tensorrt
from edgesynth_rt.tensorrt_runner import TensorRTRunner
from edgesynth_rt.tensorrt_staged import StagedTensorRTRunner
from edgesynth_rt.verify import verify_golden


class TensorRTBackend(object):
    """TensorRT, CUDA, the plugin library and the cache of this board.

    plugins: path of the plugin library; cache: folder for engines; spin: see `cudart.Cuda`;
    say: called with one line of talk before something that takes minutes.
    Raises MissingError when TensorRT, CUDA, a GPU or the library is not here.
    """

    def __init__(self, plugins=None, cache=None, spin=False, say=lambda line: None):
        module = import_tensorrt()
        self.cuda = Cuda(spin=spin)
        self.device = self.cuda.device()
        # registers its operators, hence before anything is parsed or deserialized
        self.library = open_plugins(plugins)
        self.api = TensorRT(module)
        self.cache = EngineCache(cache)
        self._say = say

    def open(self, bundle, precision="fp32", workspace_mib=WORKSPACE_MIB, batch=None, force=False,
             mapped=False, operators="auto"):  # fmt: skip
        """(runner, documents): a verified `TensorRTRunner`, and one document for each stage.

        batch: for a bundle with a dynamic batch, which gets 1 otherwise; force: build anew even
        where the cache has the engine; mapped: see `TensorRTRunner`; operators: which layers become
        plugins, see `operator_choice`. A document is that of the
        cache, with `cached`: whether it was there before, and `path`.

        Raises what `EngineBuilder.build` raises, and CheckError when an engine does not compute the
        golden outputs; such an engine is not kept.
        """
        stages = check_chain(bundle)
        options = BuildOptions(precision, workspace_mib, fixed_batch(bundle, batch), operators)
        keys = {
            stage.id: engine_key(
                self.device, self.api.version, bundle, stage, options, self.library
            )
            for stage in stages
        }
        plans, documents, fresh = {}, {}, {}
        for stage in stages:
            found = None if force else self.cache.find(keys[stage.id])
            if found is not None:
                plans[stage.id], documents[stage.id] = found
                continue
            self._say("building the engine of %s, which can take minutes" % stage.what)
            fresh[stage.id] = self._build(bundle, stage, options, keys[stage.id])
            plans[stage.id] = fresh[stage.id].plan
        kind = TensorRTRunner if bundle.policy is None else StagedTensorRTRunner
        runner = kind(bundle, self.api, self.cuda, plans, options, mapped)
        verified = self._verify(runner, bundle)
        for stage_id, built in fresh.items():
            documents[stage_id] = self.cache.store(
                keys[stage_id], built.plan, verified, built.facts
            )
        return runner, [
            dict(documents[stage.id], cached=stage.id not in fresh,
                 path=self.cache.path(keys[stage.id]))
            for stage in stages
        ]  # fmt: skip

    def software(self):
        """Versions for a record."""
        return {
            "tensorrt": self.api.version,
            "cuda": self.device.runtime,
            "cuda_driver": self.device.driver,
            "gpu": self.device.name,
            "sm": "%d.%d" % self.device.sm,
            "plugins": self.library.sha256 if self.library is not None else None,
        }

    def _build(self, bundle, stage, options, key):
        builder = EngineBuilder(
            self.api, options, self.device.sm, self.library, self.cuda, self._say
        )
        estimates = {
            layer["node"]: layer["estimate"] for layer in bundle.manifest.get("operator_layers", ())
        }
        built = builder.build(
            stage, bundle.manifest["operators"], estimates, self.cache.timing_cache(key)
        )
        if built.timing_cache:
            self.cache.store_timing_cache(key, built.timing_cache)
        return built

    def _verify(self, runner, bundle):
        """How well the engines compute the golden outputs; raises CheckError when they do not."""
        try:
            comparisons = verify_golden(runner, bundle)
        except CheckError as error:
            raise CheckError("%s; these engines are not used" % error)
        return [
            {
                "output": comparison.output,
                "worst": list(comparison.worst),
                "error": comparison.error,
                "tolerance": comparison.tolerance,
            }
            for comparison in comparisons
        ]


def fixed_batch(bundle, wanted):
    """The batch that a bundle runs with; raises UserError when it cannot run with `wanted`."""
    if bundle.batch is None:
        return wanted or 1
    if wanted not in (None, bundle.batch):
        raise UserError(
            "bundle %s has a fixed batch of %d, not %d; leave --batch out, or export it with "
            "--batch dynamic" % (bundle.path, bundle.batch, wanted)
        )
    return bundle.batch
