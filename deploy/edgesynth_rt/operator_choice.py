"""Which layers of a network plugins compute, and which TensorRT's own kernels (Python 3.6).

`none` takes no plugin, `all` takes one wherever there is one, `auto` takes what is faster: timed on
this GPU, layer by layer. Where no GPU can be asked, the exporter's estimate decides, and the table
says so.
"""

from edgesynth_rt.dense_form import has_dense_form, with_dense
from edgesynth_rt.onnx_nodes import graph_nodes
from edgesynth_rt.plugins import DOMAIN

MODES = ("auto", "all", "none")


def choose(onnx, mode, what, estimates=None, time_layer=None):
    """(model, table): the bytes with dense layers where no plugin is to be, and how that came.

    onnx: the bytes of a model; what: its name in messages; estimates: {node name: "plugin" or
    "dense"} of the exporter; time_layer(node): (milliseconds by plugin, milliseconds dense), either
    None where TensorRT cannot build it, or None instead of a function where there is no GPU.

    The table is {"mode", "decided_by", "layers": [{"node", "operator", "plugin_ms", "dense_ms",
    "chosen", "reason"}]}, a row for every operator of ours in the graph.
    """
    rows, dense = [], set()
    for index, node in enumerate(graph_nodes(onnx)):
        if node.domain == DOMAIN:
            row = dict(_row(node), **_choice(node, mode, estimates or {}, time_layer))
            rows.append(row)
            if row["chosen"] == "dense":
                dense.add(index)
    decided_by = "option" if mode != "auto" else "estimate" if time_layer is None else "timing"
    table = {"mode": mode, "decided_by": decided_by, "layers": rows}
    return with_dense(onnx, dense, what), table


def _choice(node, mode, estimates, time_layer):
    if not has_dense_form(node):
        return {"chosen": "plugin", "reason": "no standard layer does what it does"}
    if mode != "auto":
        chosen = "plugin" if mode == "all" else "dense"
        return {"chosen": chosen, "reason": "--operators %s" % mode}
    if time_layer is None:
        estimate = estimates.get(_name(node))
        if estimate in ("plugin", "dense"):
            return {"chosen": estimate, "reason": "estimate of the exporter, not measured"}
        return {"chosen": "plugin", "reason": "the exporter left no estimate"}
    plugin_ms, dense_ms = time_layer(node)
    found = {"plugin_ms": plugin_ms, "dense_ms": dense_ms}
    if plugin_ms is None or dense_ms is None:
        chosen = "plugin" if dense_ms is None else "dense"
        return dict(found, chosen=chosen, reason="TensorRT does not build the other one")
    if plugin_ms < dense_ms:
        return dict(found, chosen="plugin", reason="%.2f times as fast" % (dense_ms / plugin_ms))
    return dict(found, chosen="dense", reason="the plugin is no faster")


def _row(node):
    return {
        "node": _name(node),
        "operator": node.kind,
        "plugin_ms": None,
        "dense_ms": None,
        "chosen": None,
        "reason": None,
    }


def _name(node):
    """The node's name; by its output where the exporter gave it none."""
    return node.name or "".join(node.outputs[:1])
