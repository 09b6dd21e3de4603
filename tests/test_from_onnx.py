"""A user's own ONNX file: cut, invalid, too new, too open, or fine."""

import numpy as np
import onnx
import pytest
from onnx import helper

from edgesynth.core.errors import UserError
from edgesynth.core.network import Preprocessing
from edgesynth.export.from_onnx import from_onnx, read_onnx
from edgesynth.export.onnx_file import opset_of, serialize
from edgesynth.export.session import Session
from edgesynth.hardware.target import load_target
from small_models import FLOAT, classifier, model_of, write_model

JETPACK_4 = load_target("jetpack-4.6")


def refusal(path, target=JETPACK_4, **options):
    with pytest.raises(UserError) as caught:
        from_onnx(path, target, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_that_was_cut(tmp_path, share):
    data = serialize(classifier())
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: int(len(data) * share)])
    message = refusal(path)
    assert "not a whole ONNX file" in message or "not valid ONNX" in message


@pytest.mark.parametrize("data", [b"", b"hello world", b"\x80\x02}q\x00."])
def test_a_file_that_is_something_else(tmp_path, data):
    path = tmp_path / "other.onnx"
    path.write_bytes(data)
    refusal(path)


def test_a_file_that_is_absent(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.onnx")


def test_a_graph_that_the_checker_refuses(tmp_path):
    model = classifier()
    model.graph.node[0].input[0] = "nobody made this"
    assert "nobody made this" in refusal(write_model(model, tmp_path / "wrong.onnx"))


def test_weights_beside_the_file_are_taken_in(tmp_path):
    expected = serialize(classifier())
    path = tmp_path / "apart.onnx"
    onnx.save_model(
        classifier(), path, save_as_external_data=True, location="w.bin", size_threshold=0
    )
    model = read_onnx(path)
    batch = {"input": np.ones((1, 3, 8, 8), np.float32)}
    np.testing.assert_array_equal(
        Session(serialize(model), "apart").run(batch)["logits"],
        Session(expected, "inside").run(batch)["logits"],
    )
    (tmp_path / "w.bin").unlink()
    assert "w.bin" in refusal(path)


def test_golden_outputs_are_the_files_own(tmp_path):
    path = write_model(classifier(), tmp_path / "net.onnx")
    candidate = from_onnx(path, JETPACK_4)
    found = Session(path.read_bytes(), "net").run(candidate.golden_inputs, 1)
    np.testing.assert_array_equal(found["logits"], candidate.golden_outputs["logits"])
    assert candidate.golden_inputs["input"].shape == (8, 3, 8, 8)
    assert candidate.task == "classification"
    # Conv: 4 * 3 * 3 * 3 weights at 8 x 8 places, and 4 biases; Gemm: 5 * 4 weights.
    assert candidate.cost == {"params": 132, "macs": 108 * 64 + 20, "size_bytes": 528}


@pytest.mark.parametrize("opset", [17, 18])
def test_a_newer_opset_is_converted_where_results_stay(tmp_path, opset):
    path = write_model(classifier(opset, 9), tmp_path / "new.onnx")
    candidate = from_onnx(path, JETPACK_4)
    assert opset_of(candidate.model) == 13
    assert candidate.model.ir_version == 7
    found = Session(serialize(candidate.model), "converted").run(candidate.golden_inputs, 1)
    np.testing.assert_allclose(found["logits"], candidate.golden_outputs["logits"], rtol=1e-6)


def test_an_opset_that_cannot_be_converted_gives_the_command(tmp_path):
    nodes = [helper.make_node("GridSample", ["input", "grid"], ["out"], "warp")]
    weights = {"grid": np.zeros((1, 8, 8, 2), np.float32)}
    model = model_of(nodes, weights=weights, opset=17, ir_version=8)
    message = refusal(write_model(model, tmp_path / "new.onnx"))
    assert "has opset 17, TensorRT 8.2.1 reads 7 to 13" in message
    assert 'node "warp" (GridSample): opset 13 has no GridSample' in message
    assert 'torch.onnx.export(model, example, "model.onnx", opset_version=13, dynamo=False)' in (
        message
    )


def test_functions_are_never_lost_in_conversion(tmp_path):
    function = helper.make_function(
        "mine",
        "Twice",
        ["x"],
        ["y"],
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [helper.make_opsetid("", 17)],
    )
    nodes = [helper.make_node("Twice", ["input"], ["out"], "twice", domain="mine")]
    model = model_of(nodes, functions=[function], domains=["mine"], opset=17, ir_version=8)
    assert "functions of its own" in refusal(write_model(model, tmp_path / "functions.onnx"))


def test_an_open_batch_is_one_or_stays_open(tmp_path):
    path = write_model(classifier(batch="batch"), tmp_path / "open.onnx")
    fixed = from_onnx(path, JETPACK_4)
    assert fixed.batch == 1
    assert fixed.model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    still_open = from_onnx(path, JETPACK_4, batch="dynamic")
    assert still_open.batch is None
    assert still_open.model.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "N"
    four = from_onnx(path, JETPACK_4, batch=4)
    assert len(four.golden_inputs["input"]) == 8


@pytest.mark.parametrize("batch", [2, "dynamic"])
def test_a_fixed_batch_stays_as_it_is(tmp_path, batch):
    path = write_model(classifier(), tmp_path / "fixed.onnx")
    assert "fixed batch of 1" in refusal(path, batch=batch)


def test_open_sides_need_a_shape(tmp_path):
    nodes = [helper.make_node("GlobalAveragePool", ["input"], ["out"], "pool")]
    inputs = [("input", FLOAT, ("n", 3, "height", "width"))]
    outputs = [("out", FLOAT, ("n", 3, 1, 1))]
    path = write_model(model_of(nodes, inputs=inputs, outputs=outputs), tmp_path / "open.onnx")
    assert "leaves axis 2 open; give its size" in refusal(path)
    candidate = from_onnx(path, JETPACK_4, input_shape=(3, 16, 24))
    assert candidate.golden_inputs["input"].shape == (8, 3, 16, 24)
    assert "has 3 on axis 1, --input-shape says 1" in refusal(path, input_shape=(1, 16, 24))


def test_several_inputs_get_values_of_their_kind(tmp_path):
    nodes = [
        helper.make_node("Cast", ["count"], ["number"], "cast", to=FLOAT),
        helper.make_node("Add", ["features", "number"], ["out"], "add"),
    ]
    inputs = [
        ("features", FLOAT, (1, 6)),
        ("count", onnx.TensorProto.INT32, (1, 1)),
    ]
    outputs = [("out", FLOAT, (1, 6))]
    path = write_model(model_of(nodes, inputs=inputs, outputs=outputs), tmp_path / "two.onnx")
    candidate = from_onnx(path, JETPACK_4)
    assert candidate.golden_inputs["count"].dtype == np.int32
    assert (candidate.golden_inputs["count"] >= 0).all()
    message = refusal(path, preprocessing=Preprocessing(mean=(0.0,), std=(1.0,)))
    assert "takes 2 inputs" in message


def test_an_output_without_batch_is_refused(tmp_path):
    nodes = [helper.make_node("ReduceMean", ["input"], ["out"], "mean", keepdims=0)]
    model = model_of(nodes, outputs=[("out", FLOAT, ())])
    message = refusal(write_model(model, tmp_path / "scalar.onnx"))
    assert "needs the batch as first axis" in message
