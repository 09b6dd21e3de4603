"""The dense form of operators that a board writes into an ONNX file without the onnx package."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from edgesynth.export.dense_form import dense_bytes
from edgesynth.operators.backends.onnxruntime_backend import single_node_model
from edgesynth.operators.specs import VARIANTS, operator_named
from edgesynth_rt import onnx_nodes, onnx_wire
from edgesynth_rt.dense_form import KINDS, has_dense_form, with_dense
from edgesynth_rt.errors import UserError
from edgesynth_rt.plugins import DOMAIN
from operator_cases import Case, all_cases

CASES = [case for case in all_cases() if case.variant in KINDS]


def model_of(case: Case) -> onnx.ModelProto:
    attributes = operator_named(case.variant).complete(case.attributes)
    return single_node_model(case.variant, [tuple(x.shape) for x in case.inputs], attributes)


def computed(data: bytes, case: Case) -> np.ndarray:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    feed = {i.name: x.numpy() for i, x in zip(session.get_inputs(), case.inputs, strict=True)}
    (found,) = session.run(None, feed)
    return found


def test_which_operators_have_one() -> None:
    """All whose weights alone say what they do: no exit gate, no level of effort."""
    assert set(KINDS) == {
        variant
        for variant, operator in VARIANTS.items()
        if {"positions", "words"} & {each.name for each in operator.attributes}
    }


@pytest.mark.parametrize("variant", KINDS)
def test_equals_the_function_and_the_hosts_own_form(variant: str) -> None:
    cases = [case for case in CASES if case.variant == variant]
    assert len(cases) >= 8
    for case in cases:
        data = model_of(case).SerializeToString()
        dense = with_dense(data, {0}, "x.onnx")
        onnx.checker.check_model(onnx.load_model_from_string(dense), full_check=True)
        assert not [kind for domain, kind in onnx_wire.operators(dense) if domain == DOMAIN]
        found = computed(dense, case)
        np.testing.assert_allclose(found, computed(data, case), rtol=1e-4, atol=1e-4)
        assert np.array_equal(found, computed(dense_bytes(data)[0], case)), str(case)


def test_nothing_else_of_the_file_changes() -> None:
    data = model_of(CASES[0]).SerializeToString()
    assert with_dense(data, set(), "x.onnx") == data
    before, after = (onnx.load_model_from_string(d) for d in (data, with_dense(data, {0}, "x")))
    for field in ("ir_version", "opset_import", "functions"):
        assert getattr(before, field) == getattr(after, field)
    assert before.graph.input == after.graph.input and before.graph.output == after.graph.output


def test_attributes_are_read_as_onnx_writes_them() -> None:
    values = {
        "i": -(2**40), "is": [1, -2, 2**62], "f": 0.1, "s": "text",
        "t": numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "e": numpy_helper.from_array(np.array([-1, 7], np.int32)),
        "listed": helper.make_tensor("l", onnx.TensorProto.INT32, [2], [-3, 4]),
        "floats": helper.make_tensor("f", onnx.TensorProto.FLOAT, [2], [0.5, -1.5]),
        "double": helper.make_tensor("d", onnx.TensorProto.DOUBLE, [1], [1.0]),
    }  # fmt: skip
    node = helper.make_node("Some", ["a", "b"], ["c"], "n", domain="d", **values)
    graph = helper.make_graph([node], "g", [], [])
    data = helper.make_model(graph).SerializeToString()
    (read,) = onnx_nodes.graph_nodes(data)
    assert (read.domain, read.kind, read.name) == ("d", "Some", "n")
    assert (read.inputs, read.outputs) == (["a", "b"], ["c"])
    found = read.attributes()
    assert found["i"] == -(2**40) and found["is"] == [1, -2, 2**62] and found["s"] == "text"
    assert found["f"] == np.float32(0.1) and "double" not in found
    assert np.array_equal(found["t"], np.arange(6).reshape(2, 3)) and found["e"].tolist() == [-1, 7]
    assert found["listed"].tolist() == [-3, 4] and found["floats"].tolist() == [0.5, -1.5]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("positions", np.array([1 << 30], np.int32)),
        ("positions", np.array([-1], np.int32)),
        ("values", np.array([1.0, 2.0, 3.0], np.float32)),
        ("bias", np.array([1.0], np.float32)),
        ("weight_shape", [0, 3]),
        ("values", np.full(1, np.nan, np.float32)),
    ],
)
def test_attributes_that_do_not_fit(name: str, value: object) -> None:
    case = next(each for each in CASES if each.variant == "EsSparseLinear" and "odd" in each.why)
    model = model_of(case)
    node = model.graph.node[0]
    kept = [each for each in node.attribute if each.name != name]
    del node.attribute[:]
    content = numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
    node.attribute.extend([*kept, helper.make_attribute(name, content)])
    with pytest.raises(UserError, match=r"x.onnx: operator .* is not whole .*; export the bundle"):
        with_dense(model.SerializeToString(), {0}, "x.onnx")


def test_an_attribute_that_is_missing() -> None:
    model = model_of(CASES[0])
    del model.graph.node[0].attribute[:]
    with pytest.raises(UserError, match="weight_shape"):
        with_dense(model.SerializeToString(), {0}, "x.onnx")


def test_a_model_of_one_node() -> None:
    """What a board times layers by."""
    case = CASES[0]
    (node,) = onnx_nodes.graph_nodes(model_of(case).SerializeToString())
    assert has_dense_form(node)
    relu = onnx_nodes.make_node("Relu", ["x"], ["y"], "r")
    data = onnx_nodes.make_model(
        [relu], [("x", "float32", (2, 3))], [("y", "float32", (2, 3))], {"": 13}
    )
    onnx.checker.check_model(onnx.load_model_from_string(data))
    assert onnx_nodes.opsets_of(data) == {"": 13}
    x = np.array([[-1, 0, 1], [2, -3, 4]], np.float32)
    (y,) = ort.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    assert np.array_equal(y, np.maximum(x, 0))
