"""Samples in batches, golden outputs, accuracy."""

import numpy as np
import pytest
from hand_made import SAMPLES, LinearRunner, golden_arrays, golden_bytes, write_bundle

from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.errors import CheckError, UserError
from edgesynth_rt.evaluate import evaluate
from edgesynth_rt.samples import golden_batches, run_samples
from edgesynth_rt.verify import compare, verify_golden


def linear(images):
    """What LinearRunner computes, all at once."""
    return images.reshape(len(images), -1)[:, :16].reshape(len(images), 4, 4).sum(axis=2)


@pytest.mark.parametrize(
    "fixed, seen",
    [(None, [4, 1]), (1, [1] * 5), (2, [2, 2, 2]), (5, [5]), (8, [8])],  # 2 and 8 are filled up
)
def test_run_samples_gives_every_sample_once(fixed, seen):
    images = np.random.RandomState(0).rand(5, 2, 3, 3).astype(np.float32)
    runner = LinearRunner(fixed)
    outputs = run_samples(runner, {"input": images}, batch=4)
    np.testing.assert_array_equal(outputs["logits"], linear(images))
    assert runner.seen == seen


@pytest.mark.parametrize("batch, pieces", [(1, 3), (2, 1), (3, 1), (5, 1)])
def test_golden_batches_have_exactly_the_batch(tmp_path, batch, pieces):
    found = golden_batches(open_bundle(write_bundle(tmp_path / "b")), batch)
    assert [piece["input"].shape for piece in found] == [(batch, 2, 3, 3)] * pieces
    golden = golden_arrays()["input/input"]
    np.testing.assert_array_equal(found[0]["input"], golden[np.arange(batch) % SAMPLES])


def test_compare_names_the_worst_element_in_its_own_tolerance():
    golden = {"y": np.array([[1.0, 100.0]], np.float32)}
    found = {"y": np.array([[1.05, 100.9]], np.float32)}
    (one,) = compare(golden, found, atol=0, rtol=0.01)
    assert not one.passed
    assert one.worst == (0, 0)  # 5 times its tolerance; the other is within its own
    assert str(one) == "y[0,0] is 1.05, golden 1, error 0.05, tolerance 0.01"


def test_compare_passes_at_the_tolerance():
    golden = {"y": np.array([1.0, 2.0])}
    (one,) = compare(golden, {"y": np.array([1.5, 2.0])}, atol=0.5, rtol=0)
    assert one.passed and one.worst == (0,) and one.error == 0.5


def test_compare_takes_nan_for_the_worst():
    golden = {"y": np.zeros(3)}
    (one,) = compare(golden, {"y": np.array([9.0, np.nan, np.inf])}, 1e-4, 0)
    assert not one.passed and one.worst in ((1,), (2,))
    (one,) = compare(golden, {"y": np.array([0.0, np.nan, 0.0])}, 1e-4, 0)
    assert not one.passed and one.worst == (1,)


def test_integers_must_be_equal():
    golden = {"y": np.array([5, 6])}
    assert compare(golden, {"y": np.array([5, 6])}, 10, 10)[0].passed
    assert not compare(golden, {"y": np.array([5, 7])}, 10, 10)[0].passed


def test_another_shape_fails():
    with pytest.raises(CheckError, match=r"output y has the shape \[2\], its golden values \[3\]"):
        compare({"y": np.zeros(3)}, {"y": np.zeros(2)}, 1, 1)


def test_verify_golden(tmp_path):
    logits = linear(golden_arrays()["input/input"])
    bundle = open_bundle(write_bundle(tmp_path / "b", golden=golden_bytes(logits=logits)))
    assert all(one.passed for one in verify_golden(LinearRunner(1), bundle))
    logits = logits.copy()
    logits[2, 3] += 1
    bundle = open_bundle(write_bundle(tmp_path / "c", golden=golden_bytes(logits=logits)))
    with pytest.raises(CheckError, match=r"golden outputs on numpy: logits\[2,3\] is"):
        verify_golden(LinearRunner(1), bundle)


@pytest.mark.parametrize("batch", [None, 1, 3])
def test_accuracy_counts_every_image_once(tmp_path, batch):
    bundle = open_bundle(write_bundle(tmp_path / "b"))
    pixels = np.random.RandomState(0).randint(0, 256, (150, 2, 3, 3)).astype(np.uint8)
    labels = linear(bundle.preprocess(pixels)).argmax(axis=1)
    labels[:30] = (labels[:30] + 1) % 4
    done = []
    found = evaluate(LinearRunner(batch), bundle, lambda i: pixels[i], labels, done.append)
    assert (found["value"], found["n"], found["right"]) == (0.8, 150, 120)
    assert found["ci95"] == pytest.approx([0.7289, 0.8561], abs=1e-4)
    assert sum(done) == 150


@pytest.mark.parametrize(
    "change, pixels, labels, said",
    [
        (None, np.zeros((1, 2, 3, 3), np.uint8), [4], "has 4 classes"),
        (None, np.zeros((1, 2, 3, 3), np.uint8), [-1], "has 4 classes"),
        (None, np.zeros((1, 2, 4, 4), np.uint8), [0], "takes images of shape"),
        (None, np.zeros((0, 2, 3, 3), np.uint8), [], "no images"),
        ({"task": "detection"}, np.zeros((1, 2, 3, 3), np.uint8), [0], "is for detection"),
        ({"preprocessing": None}, np.zeros((1, 2, 3, 3), np.uint8), [0], "no preprocessing"),
    ],
)
def test_data_that_do_not_fit(tmp_path, change, pixels, labels, said):
    bundle = open_bundle(write_bundle(tmp_path / "b", lambda m: m.update(change or {})))
    with pytest.raises(UserError, match=said):
        evaluate(LinearRunner(), bundle, lambda i: pixels[i], np.array(labels))
