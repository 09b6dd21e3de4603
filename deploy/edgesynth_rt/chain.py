"""Bundles of several stages, each an ONNX file of its own (Python 3.6).

Where a policy decides which of them run, see `staged`.
"""

from edgesynth_rt.errors import UserError
from edgesynth_rt.manifest import REMEDY


def check_chain(bundle):
    """The stages in the order of running; every one runs for every input.

    Tensors are joined by name: what a stage takes is an output of a stage before it or an input of
    the first one, of the same type and shape. Returns the bundle's stages.
    Raises UserError where a tensor comes from nowhere or fits not.
    """
    known = {tensor["name"]: tensor for tensor in bundle.stages[0].inputs}
    for stage in bundle.stages:
        for tensor in stage.inputs:
            source = known.get(tensor["name"])
            if source is None:
                raise UserError(
                    "%s takes %s, which no stage before it gives; %s"
                    % (stage.what, tensor["name"], REMEDY)
                )
            if (source["dtype"], source["shape"]) != (tensor["dtype"], tensor["shape"]):
                raise UserError(
                    "%s takes %s as %s %s, but it is %s %s; %s"
                    % (
                        stage.what,
                        tensor["name"],
                        tensor["dtype"],
                        tensor["shape"],
                        source["dtype"],
                        source["shape"],
                        REMEDY,
                    )
                )
        for tensor in stage.outputs:
            if tensor["name"] in known:
                raise UserError(
                    "%s gives %s, a name that is taken already; %s"
                    % (stage.what, tensor["name"], REMEDY)
                )
            known[tensor["name"]] = tensor
    return bundle.stages
