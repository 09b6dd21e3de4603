"""Opening bundles on the board's Python: what is right opens, everything else is refused."""

import os

import numpy as np
import pytest
from hand_made import (
    EMPTY_GRAPH,
    golden_arrays,
    refused,
    sha256,
    write_bundle,
    write_manifest,
)

from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.errors import UserError


def test_opens_and_gives_its_parts(tmp_path):
    folder = write_bundle(tmp_path / "x.bundle")
    bundle = open_bundle(folder)
    assert bundle.name == "hand-made"
    with open(os.path.join(folder, "manifest.json"), "rb") as stream:
        assert bundle.id == sha256(stream.read())
    assert [stage.id for stage in bundle.stages] == ["main"]
    assert bundle.single_stage.batch == 1
    assert bundle.single_stage.read() == EMPTY_GRAPH
    assert bundle.labels == ["a", "b", "c", "d"]
    assert bundle.cost == {"params": 10, "macs": 20, "size_bytes": 40}
    inputs, outputs = bundle.golden()
    np.testing.assert_array_equal(inputs["input"], golden_arrays()["input/input"])
    np.testing.assert_array_equal(outputs["logits"], golden_arrays()["output/logits"])


def test_a_dynamic_batch_is_none(tmp_path):
    def dynamic(manifest):
        for tensors in (manifest["stages"][0]["inputs"], manifest["stages"][0]["outputs"]):
            tensors[0]["shape"][0] = "N"

    assert open_bundle(write_bundle(tmp_path / "b", dynamic)).single_stage.batch is None


def test_unknown_keys_are_left_alone(tmp_path):
    open_bundle(write_bundle(tmp_path / "b", lambda manifest: manifest.update(later={"x": 1})))


def test_preprocess_is_scale_mean_std_of_each_channel(tmp_path):
    bundle = open_bundle(write_bundle(tmp_path / "b"))
    pixels = np.zeros((1, 2, 3, 3), np.uint8)
    pixels[0, 0], pixels[0, 1] = 10, 20
    images = bundle.preprocess(pixels)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images[0, 0], (10 * 0.5 - 1) / 2)
    np.testing.assert_allclose(images[0, 1], (20 * 0.5 - 2) / 4)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((1, 3, 3, 3), np.uint8), np.zeros((2, 3, 3), np.uint8), np.zeros((1, 2, 3, 3))],
)
def test_preprocess_refuses_other_images(tmp_path, pixels):
    bundle = open_bundle(write_bundle(tmp_path / "b"))
    with pytest.raises(UserError, match="takes uint8 images of shape"):
        bundle.preprocess(pixels)


def test_no_preprocessing_stated(tmp_path):
    bundle = open_bundle(write_bundle(tmp_path / "b", lambda m: m.update(preprocessing=None)))
    with pytest.raises(UserError, match="states no preprocessing"):
        bundle.preprocess(np.zeros((1, 2, 3, 3), np.uint8))


def test_several_stages_open_but_do_not_run_as_one(tmp_path):
    def second(manifest):
        manifest["stages"].append(dict(manifest["stages"][0], id="second"))

    bundle = open_bundle(write_bundle(tmp_path / "b", second))
    with pytest.raises(UserError, match="has 2 stages"):
        assert bundle.single_stage


@pytest.mark.parametrize("name", ["main.onnx", "golden.npz"])
def test_a_changed_byte_is_refused(tmp_path, name):
    folder = write_bundle(tmp_path / "b")
    path = os.path.join(folder, name)
    with open(path, "r+b") as stream:
        first = stream.read(1)
        stream.seek(0)
        stream.write(bytes([first[0] ^ 1]))
    assert name + " was changed" in refused(folder)


@pytest.mark.parametrize("name", ["main.onnx", "golden.npz"])
def test_a_missing_file_is_refused(tmp_path, name):
    folder = write_bundle(tmp_path / "b")
    os.remove(os.path.join(folder, name))
    assert name + " is missing" in refused(folder)


def test_nothing_there(tmp_path):
    assert "there is no bundle at" in refused(tmp_path / "none.bundle")
    assert "is no bundle, it has no manifest.json" in refused(tmp_path)
    (tmp_path / "file.zip").write_bytes(b"PK")
    assert "neither a bundle folder nor a .tar" in refused(tmp_path / "file.zip")


# every way out of the folder that a path can take
@pytest.mark.parametrize(
    "path",
    [
        "../main.onnx",
        "a/../../main.onnx",
        "/etc/hostname",
        "..",
        ".",
        "",
        "a//b",
        "./main.onnx",
        "a\\..\\b",
        "C:main.onnx",
        "main.onnx\0",
        "main.onnx\n",
        "x" * 600,
        7,
        None,
        ["main.onnx"],
    ],
)
@pytest.mark.parametrize("place", ["stage", "golden"])
def test_a_path_that_leaves_the_bundle_is_refused(tmp_path, path, place):
    def change(manifest):
        if place == "stage":
            manifest["stages"][0]["onnx"] = path
        else:
            manifest["golden"]["file"] = path

    message = refused(write_bundle(tmp_path / "b", change))
    assert ("stages[0].onnx" if place == "stage" else "golden.file") in message


@pytest.mark.parametrize("name", ["main.onnx", "golden.npz", "manifest.json"])
def test_a_link_that_leaves_the_bundle_is_refused(tmp_path, name):
    folder = write_bundle(tmp_path / "b")
    os.rename(os.path.join(folder, name), str(tmp_path / "outside"))
    os.symlink(str(tmp_path / "outside"), os.path.join(folder, name))
    assert name + " is a link that leaves the bundle" in refused(folder)


def test_a_link_inside_the_bundle_is_followed(tmp_path):
    folder = write_bundle(tmp_path / "b")
    os.rename(os.path.join(folder, "main.onnx"), os.path.join(folder, "other.onnx"))
    os.symlink("other.onnx", os.path.join(folder, "main.onnx"))
    assert open_bundle(folder).name == "hand-made"


def test_a_pipe_is_not_waited_for(tmp_path):
    folder = write_bundle(tmp_path / "b")
    os.remove(os.path.join(folder, "main.onnx"))
    os.mkfifo(os.path.join(folder, "main.onnx"))
    assert "main.onnx is missing" in refused(folder)


def _set(manifest, keys, value):
    for key in keys[:-1]:
        manifest = manifest[key]
    manifest[keys[-1]] = value


STAGE = ("stages", 0)
INPUT = STAGE + ("inputs", 0)


@pytest.mark.parametrize(
    "keys, value, said",
    [
        (("schema",), "edgesynth.bundle/2", 'schema is "edgesynth.bundle/2"'),
        (("name",), "", "name is"),
        (("name",), "../up", "name is"),
        (("name",), ".hidden", "name is"),
        (("name",), "two\nlines", "name is"),
        (("name",), "bell\x07", "name is"),
        (("name",), "x" * 101, "name is"),
        (("task",), 3, "task is 3, not text"),
        (("target",), None, "target is null"),
        (("stages",), [], "stages has 0 elements"),
        (("stages",), {}, "stages is an object, not a list"),
        (("stages",), [{}] * 65, "stages has 65 elements"),
        (STAGE, 5, "stages[0] is 5, not an object"),
        (STAGE + ("sha256",), "0" * 63, "stages[0].sha256 is"),
        (STAGE + ("sha256",), "G" * 64, "stages[0].sha256 is"),
        (STAGE + ("inputs",), [], "stages[0].inputs has 0"),
        (INPUT + ("dtype",), "object", "stages[0].inputs[0].dtype is"),
        (INPUT + ("dtype",), ["float32"], "stages[0].inputs[0].dtype is a list"),
        (INPUT + ("shape",), [], "stages[0].inputs[0].shape has 0"),
        (INPUT + ("shape",), [1] * 9, "stages[0].inputs[0].shape has 9"),
        (INPUT + ("shape", 1), 0, "stages[0].inputs[0].shape[1] is 0"),
        (INPUT + ("shape", 1), -1, "stages[0].inputs[0].shape[1] is -1"),
        (INPUT + ("shape", 1), 1.5, "stages[0].inputs[0].shape[1] is 1.5"),
        (INPUT + ("shape", 1), True, "stages[0].inputs[0].shape[1] is true"),
        (INPUT + ("shape", 1), "N", 'stages[0].inputs[0].shape[1] is "N"'),
        (INPUT + ("shape", 1), 2**31, "stages[0].inputs[0].shape[1] is 2147483648"),
        (INPUT + ("shape",), [1, 2**20, 2**20], "shape is a list, not a shape of at most"),
        (INPUT + ("shape", 0), 2, "the same batch"),
        (("policy",), 3, "policy is 3, not an object"),
        (("operators",), [{"type": "EsExitGate"}], "operators[0].version is missing"),
        (("golden",), None, "golden is null, not an object"),
        (("golden", "samples"), 0, "golden.samples is 0"),
        (("golden", "samples"), 10**9, "golden.samples is 1000000000"),
        (("golden", "atol"), -1, "golden.atol is -1"),
        (("golden", "rtol"), "small", "golden.rtol is"),
        (("preprocessing", "scale"), 0, "preprocessing.scale is 0"),
        (("preprocessing", "mean"), [], "preprocessing.mean has 0"),
        (("preprocessing", "std"), [1.0], "preprocessing.std is a list, not as long as mean (2)"),
        (("preprocessing", "std", 0), 0.0, "preprocessing.std[0] is 0.0"),
        (("preprocessing", "layout"), "NHWC", "preprocessing.layout is"),
        (("labels",), [1], "labels[0] is 1"),
        (("accuracy", "test"), 1.5, "accuracy.test is 1.5"),
        (("cost", "macs"), -1, "cost.macs is -1"),
        (("cost", "macs"), 2**63, "cost.macs is 9223372036854775808"),
        (("provenance", "versions"), [], "provenance.versions is a list"),
        (("provenance", "versions"), {"a": 1}, "provenance.versions.a is 1"),
        (("provenance", "versions"), {"\x1b[2J": 1}, 'provenance.versions."\\u001b[2J" is 1'),
        (("provenance", "parent"), "none", "provenance.parent is"),
        (("provenance", "seed"), "0", "provenance.seed is"),
    ],
)
def test_a_wrong_field_is_named_with_its_place(tmp_path, keys, value, said):
    folder = write_bundle(tmp_path / "b", lambda manifest: _set(manifest, keys, value))
    message = refused(folder)
    assert "b/manifest.json: " in message and said in message
    assert "export the bundle again" in message


@pytest.mark.parametrize(
    "key",
    "schema name task target stages operators golden preprocessing labels accuracy cost "
    "provenance".split(),
)
def test_a_missing_key_is_named(tmp_path, key):
    folder = write_bundle(tmp_path / "b", lambda manifest: manifest.pop(key))
    assert "%s is missing" % key in refused(folder)


def test_two_tensors_or_stages_of_one_name(tmp_path):
    def tensors(manifest):
        manifest["stages"][0]["inputs"] *= 2

    def stages(manifest):
        manifest["stages"] *= 2

    assert "inputs[1].name" in refused(write_bundle(tmp_path / "a", tensors))
    assert "stages[1].id" in refused(write_bundle(tmp_path / "b", stages))


@pytest.mark.parametrize(
    "data, said",
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[]", "is a list, not an object"),
        (b"3", "is 3, not an object"),
        (b'{"schema": NaN}', "NaN is not a JSON number"),
        (b'{"schema": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"schema": 1e999}', "too large"),
        (b'{"schema": ' + b"9" * 100000 + b"}", "an integer of 100000 digits"),
        (b'{"a": 1, "a": 2}', 'the key "a" stands twice'),
        (b'{"a": "\\ud800"}', "not valid JSON"),
        (b"[" * 40 + b"]" * 40, "deeper than 32"),
        (b"[" * 200000 + b"]" * 200000, "deeper than 32"),
        (b'{"a":' * 100000, "deeper than 32"),
        (b" " * (17 << 20), "larger than 16 MiB"),
    ],
    ids=range(15),
)
def test_a_hostile_manifest_is_refused(tmp_path, data, said):
    folder = write_bundle(tmp_path / "b")
    write_manifest(folder, data)
    assert said in refused(folder)


@pytest.mark.parametrize(
    "onnx, said",
    [
        (b"", "holds no ONNX graph"),
        (b"\x08\x07", "holds no ONNX graph"),
        (b"\x3a\x05\x00", "is not a whole ONNX file"),
        (b"hello, I am a text file", "is not a whole ONNX file"),
        # graph { initializer { external_data {} } }
        (b"\x3a\x04\x2a\x02\x6a\x00", "keeps weights in another file"),
        # graph { node { attribute { t { data_location: EXTERNAL } } } }
        (b"\x3a\x08\x0a\x06\x2a\x04\x2a\x02\x70\x01", "keeps weights in another file"),
    ],
    ids=range(6),
)
def test_an_onnx_file_that_is_not_self_contained(tmp_path, onnx, said):
    assert said in refused(write_bundle(tmp_path / "b", onnx=onnx))
