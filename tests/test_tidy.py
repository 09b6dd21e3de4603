"""Graphs are made plain without changing a number."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from edgesynth.export.onnx_file import serialize
from edgesynth.export.session import Session
from edgesynth.export.tidy import tidy
from small_models import FLOAT, classifier, model_of

INPUT = np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)


def tidied(model, batch=INPUT):
    """`model` made plain, after its numbers were seen unchanged."""
    before = Session(serialize(model), "before").run({"input": batch})
    tidy(model)
    onnx.checker.check_model(model)
    after = Session(serialize(model), "after").run({"input": batch})
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=1e-6, atol=1e-6)
    return model


def operators(model):
    return [node.op_type for node in model.graph.node]


def test_an_identity_in_front_of_weights_vanishes():
    """TensorRT 8.2 would take such weights for an activation."""
    model = classifier()
    model.graph.node[0].input[1] = "w again"
    model.graph.node.insert(0, helper.make_node("Identity", ["w"], ["w again"]))
    assert "Identity" not in operators(tidied(model))


def test_an_identity_that_makes_an_output_stays():
    model = classifier()
    model.graph.node[-1].output[0] = "scores"
    model.graph.node.append(helper.make_node("Identity", ["scores"], ["logits"]))
    assert operators(tidied(model))[-1] == "Identity"


def test_constants_become_initializers():
    two = numpy_helper.from_array(np.array(2.0, np.float32))
    nodes = [
        helper.make_node("Constant", [], ["two"], value=two),
        helper.make_node("Constant", [], ["three"], value_float=3.0),
        helper.make_node("Mul", ["input", "two"], ["double"]),
        helper.make_node("Add", ["double", "three"], ["out"]),
    ]
    model = tidied(model_of(nodes))
    assert operators(model) == ["Mul", "Add"]
    assert {tensor.name for tensor in model.graph.initializer} == {"two", "three"}


def test_weights_listed_as_inputs_are_no_inputs():
    """So did exporters before IR version 4."""
    model = classifier()
    model.graph.input.append(helper.make_tensor_value_info("w", FLOAT, (4, 3, 3, 3)))
    assert [each.name for each in tidied(model).graph.input] == ["input"]


def test_what_nobody_reads_is_dropped():
    model = classifier()
    model.graph.node.insert(1, helper.make_node("Sigmoid", ["c"], ["unread"]))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(9, np.float32), "unread too"))
    model = tidied(model)
    assert "Sigmoid" not in operators(model)
    assert "unread too" not in {tensor.name for tensor in model.graph.initializer}


def test_a_tensor_that_only_a_branch_reads_is_kept():
    branch = {
        name: helper.make_graph(
            [helper.make_node(kind, ["c"], [f"{name}_out"])],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_out", FLOAT, (1, 3, 8, 8))],
        )
        for name, kind in (("then", "Relu"), ("else", "Neg"))
    }
    nodes = [
        helper.make_node("Abs", ["input"], ["c"]),
        helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0),
        helper.make_node("Greater", ["mean", "zero"], ["positive"]),
        helper.make_node(
            "If", ["positive"], ["out"], then_branch=branch["then"], else_branch=branch["else"]
        ),
    ]
    zero = {"zero": np.array(0.0, np.float32)}
    outputs = [("out", FLOAT, (1, 3, 8, 8))]
    assert "Abs" in operators(tidied(model_of(nodes, weights=zero, outputs=outputs)))


@pytest.mark.parametrize("batch", [1, "N"])
def test_shape_arithmetic_becomes_constant_dimensions(batch):
    nodes = [
        helper.make_node("Shape", ["input"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["n"]),
        helper.make_node("Concat", ["n", "rest"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["input", "wanted"], ["out"]),
    ]
    weights = {"first": np.array([0]), "rest": np.array([8, 3, 8])}
    model = model_of(
        nodes,
        weights=weights,
        inputs=[("input", FLOAT, (batch, 3, 8, 8))],
        outputs=[("out", FLOAT, (batch, 8, 3, 8))],
    )
    sample = INPUT if batch == 1 else np.repeat(INPUT, 3, axis=0)
    model = tidied(model, sample)
    assert operators(model) == ["Reshape"]
    (dimensions,) = model.graph.initializer
    expected = [1 if batch == 1 else -1, 8, 3, 8]
    assert numpy_helper.to_array(dimensions).tolist() == expected


def test_a_shape_that_depends_on_the_data_is_left_alone():
    """NonZero's result has as many columns as the data has positive numbers."""
    nodes = [
        helper.make_node("Relu", ["input"], ["positive"]),
        helper.make_node("NonZero", ["positive"], ["where"]),
        helper.make_node("Shape", ["where"], ["shape"]),
        helper.make_node("Reshape", ["where", "shape"], ["out"]),
    ]
    outputs = [("out", onnx.TensorProto.INT64, (4, "found"))]
    model = model_of(nodes, outputs=outputs)
    tidy(model)
    counts = []
    for batch in (INPUT, INPUT + 1):
        session = onnxruntime.InferenceSession(serialize(model))
        (found,) = session.run(None, {"input": batch})
        counts.append(found.shape[1])
        assert found.shape == (4, int((batch > 0).sum()))
    assert counts[0] != counts[1]


def test_what_changes_nothing_vanishes():
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Add", ["zero", "b"], ["c"]),
        helper.make_node("Add", ["c", "one"], ["d"]),
        helper.make_node("Relu", ["d"], ["y"]),
    ]
    weights = [numpy_helper.from_array(np.float32(value), name)
               for name, value in (("zero", 0), ("one", 1))]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("input", FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", FLOAT, [1, 3, 8, 8])], weights,
    )  # fmt: skip
    graph.node[0].input[0] = "input"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    assert operators(tidied(model)) == ["Relu", "Add", "Relu"]
