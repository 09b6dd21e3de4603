"""Real ONNX bundles opened, and hostile ones of every kind refused in one line."""

from __future__ import annotations

import copy
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgesynth_rt import onnx_wire
from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.errors import EdgesynthError, UserError
from edgesynth_rt.manifest import check_manifest
from edgesynth_rt.record import check_record
from edgesynth_rt.strict_json import parse
from make_bundle import make_bundle, make_model, read_manifest


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny.bundle")


def test_a_real_bundle_opens(bundle: Path) -> None:
    opened = open_bundle(bundle)
    assert opened.name == "tiny" and opened.single_stage.batch == 1
    assert onnx.load_from_string(opened.single_stage.read()).opset_import[0].version == 13
    inputs, outputs = opened.golden()
    assert inputs["input"].shape == (8, 1, 8, 8) and outputs["logits"].shape == (8, 10)


def test_preprocessing_gives_the_golden_inputs(bundle: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 1, 8, 8), dtype=np.uint8)
    opened = open_bundle(bundle)
    np.testing.assert_allclose(opened.preprocess(pixels), opened.golden()[0]["input"], atol=1e-6)


# -- the look into the ONNX file, against files that the onnx package makes


def external(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """The same tensor with its weights in another file."""
    moved = TensorProto()
    moved.name, moved.data_type = tensor.name, tensor.data_type
    moved.dims.extend(tensor.dims)
    moved.data_location = TensorProto.EXTERNAL
    entry = moved.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    return moved


def external_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].CopyFrom(external(model.graph.initializer[0]))


def external_constant(model: onnx.ModelProto) -> None:
    value = external(model.graph.initializer[0])
    model.graph.node.append(helper.make_node("Constant", [], ["unused"], value=value))


def external_in_a_branch(model: onnx.ModelProto) -> None:
    constant = helper.make_node("Constant", [], ["y"], value=external(model.graph.initializer[0]))
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    branch = helper.make_graph([constant], "branch", [], [output])
    model.graph.node.append(
        helper.make_node("If", ["input"], ["z"], then_branch=branch, else_branch=branch)
    )


def external_in_a_function(model: onnx.ModelProto) -> None:
    constant = helper.make_node("Constant", [], ["y"], value=external(model.graph.initializer[0]))
    opset = [helper.make_opsetid("", 13)]
    model.functions.append(helper.make_function("edgesynth", "F", [], ["y"], [constant], opset))


def external_sparse(model: onnx.ModelProto) -> None:
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(external(model.graph.initializer[0]))


@pytest.mark.parametrize(
    "change",
    [
        external_initializer,
        external_constant,
        external_in_a_branch,
        external_in_a_function,
        external_sparse,
    ],
)
def test_weights_outside_of_the_file_are_found(change: Any) -> None:
    model = make_model()
    onnx_wire.check_self_contained(model.SerializeToString(), "x.onnx")
    change(model)
    with pytest.raises(UserError, match=r"x.onnx keeps weights in another file"):
        onnx_wire.check_self_contained(model.SerializeToString(), "x.onnx")


def test_every_form_of_tensor_inside_is_fine() -> None:
    model = make_model()
    half = numpy_helper.from_array(np.ones((2, 2), np.float16), "half")
    typed = helper.make_tensor("typed", TensorProto.DOUBLE, [2], [1.0, 2.0])  # fixed 64 bits
    text = helper.make_tensor("text", TensorProto.STRING, [1], [b"x"])
    model.graph.initializer.extend([half, typed, text])
    model.metadata_props.add(key="made by", value="a test")
    onnx_wire.check_self_contained(model.SerializeToString(), "x.onnx")


def test_a_cut_onnx_file_with_the_right_hash_is_refused(tmp_path: Path) -> None:
    data = make_model().SerializeToString()
    for length in range(0, len(data) - 1, 7):
        with pytest.raises(UserError, match=r"whole ONNX file|holds no ONNX graph"):
            onnx_wire.check_self_contained(data[:length], "x.onnx")


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    try:
        onnx_wire.check_self_contained(data, "x.onnx")
    except UserError as error:
        assert "\n" not in str(error)


# -- fuzzing: whatever stands in a manifest, it is taken or refused with one line

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["../x", "/etc/passwd", "\x1b[31m", "N", 2**63, -1, 1e308]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def places(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every value inside `document`."""
    members: Any = ()
    if isinstance(document, dict):
        members = document.items()
    elif isinstance(document, list):
        members = enumerate(document)
    for key, value in members:
        yield (*at, key)
        yield from places(value, (*at, key))


def changed(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    document = copy.deepcopy(document)
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return document


def one_line(error: EdgesynthError) -> None:
    message = str(error)
    assert "\n" not in message and message.isprintable() and len(message) < 1000


@settings(max_examples=200, deadline=None)
@given(data=st.data(), value=JSON)
def test_any_value_anywhere_in_a_manifest(bundle: Path, data: st.DataObject, value: Any) -> None:
    manifest = read_manifest(bundle)
    place = data.draw(st.sampled_from(list(places(manifest))))
    try:
        check_manifest(changed(manifest, place, value), "m")
    except UserError as error:
        one_line(error)


RECORD = {
    "schema": "edgesynth.record/1", "kind": "measured", "name": "x",
    "bundle": {"name": "x", "id": "0" * 64}, "device": {"module": "host"},
    "backend": "onnxruntime", "precision": "fp32", "batch": 1, "software": {"python": "3"},
    "latency_ms": {"mean": 2, "p50": 2, "p90": 3, "p95": 3, "p99": 3, "min": 1, "max": 3, "n": 9},
    "throughput_per_s": 500.0, "energy": {"not_measured": "x"},
    "accuracy": {"value": 0.5, "n": 10, "data": "d", "split": "test"},
    "cost": {"params": 1, "macs": 2, "size_bytes": 4},
    "requirements": [{"requirement": "macs<=3", "holds": True}], "exits": None,
    "validity": ["x"], "raw": "x.times.json", "measurement": {"run": "0"}, "command": "x",
    "created": "2026-01-01T00:00:00Z",
}  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(data=st.data(), value=JSON)
def test_any_value_anywhere_in_a_record(data: st.DataObject, value: Any) -> None:
    check_record(RECORD, "r")
    place = data.draw(st.sampled_from(list(places(RECORD))))
    try:
        check_record(changed(RECORD, place, value), "r")
    except UserError as error:
        one_line(error)


@settings(max_examples=200)
@given(st.binary(max_size=100) | st.text(max_size=100).map(str.encode))
def test_any_bytes_as_json(data: bytes) -> None:
    try:
        parse(data, "x")
    except UserError as error:
        one_line(error)


@given(JSON)
def test_json_that_is_taken_is_what_the_standard_parser_reads(value: Any) -> None:
    try:
        data = json.dumps(value).encode()
        found = parse(data, "x")
    except UserError as error:
        one_line(error)
    else:
        assert found == json.loads(data)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_changed_byte_of_any_file_is_refused(bundle: Path, data: st.DataObject) -> None:
    """Of the manifest a change may be harmless (a label); then the id is another."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(bundle, Path(place) / "b"))
        path = folder / data.draw(st.sampled_from(["manifest.json", "main.onnx", "golden.npz"]))
        content = bytearray(path.read_bytes())
        index = data.draw(st.integers(0, len(content) - 1))
        content[index] ^= data.draw(st.integers(1, 255))
        path.write_bytes(bytes(content))
        try:
            opened = open_bundle(folder)
        except UserError as error:
            one_line(error)
        else:
            assert path.name == "manifest.json" and opened.id != open_bundle(bundle).id


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_tar_is_refused_or_whole(bundle: Path, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "b.tar"
        with tarfile.open(path, "w") as archive:
            archive.add(bundle, arcname=".")
        content = bytearray(path.read_bytes())
        # the first headers and the data between them, where damage matters
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, 3000))] = data.draw(st.integers(0, 255))
        path.write_bytes(bytes(content[: data.draw(st.integers(512, len(content)))]))
        try:
            with open_bundle(path) as opened:
                assert opened.single_stage.read()
        except UserError as error:
            assert "\n" not in str(error)
