"""Images with objects in one file, and the mean average precision of a bundle on them."""

import numpy as np
import pytest

from edgesynth_rt.boxed_images import read_boxed_images, write_boxed_images
from edgesynth_rt.errors import UserError
from edgesynth_rt.evaluate_boxes import evaluate_boxes

SETTINGS = {"kind": "region", "anchors": [[1.0, 1.0]], "stride": 8, "classes": 2}
OBJECTS = [
    (
        np.array([[0, 0, 8, 8], [8, 8, 16, 16]], np.float32),
        np.array([0, 1]),
        np.zeros(2, bool),
    ),
    (np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, bool)),
    (np.array([[8, 0, 16, 8]], np.float32), np.array([0]), np.array([1], bool)),
]


class Bundle(object):
    """What `evaluate_boxes` asks of an open bundle."""

    path = "x.bundle"

    def __init__(self, task="detection", settings=SETTINGS):
        self.manifest = {"task": task, "postprocessing": settings}
        self.labels = ["hat", "shoe"]
        self.inputs = [{"name": "input", "shape": ["N", 1, 16, 16]}]
        self.outputs = [{"name": "output", "shape": ["N", 7, 2, 2]}]

    def preprocess(self, pixels):
        return pixels.astype(np.float32)


class Runner(object):
    """Finds the hat in the upper left cell of image 0 and a shoe that is none in image 1."""

    batch = None

    def __init__(self, channels=7):
        self._channels = channels

    def run(self, inputs):
        output = np.zeros((len(inputs["input"]), 7, 2, 2), np.float32)
        output[:, 4] = -20
        for image, number in enumerate(inputs["input"][:, 0, 0, 0]):
            if number == 0:
                output[image, :, 0, 0] = [0, 0, 0, 0, 9, 9, 0]
            elif number == 1:
                output[image, :, 1, 1] = [0, 0, 0, 0, 9, 0, 9]
        return {"output": output[:, : self._channels]}


def images():
    pixels = np.zeros((3, 1, 16, 16), np.uint8)
    pixels[:, 0, 0, 0] = range(3)
    return pixels


def test_what_is_written_is_read(tmp_path):
    path = str(tmp_path / "test.npz")
    write_boxed_images(path, images(), OBJECTS)
    pixels, objects = read_boxed_images(path)
    np.testing.assert_array_equal(pixels, images())
    for found, wanted in zip(objects, OBJECTS):
        for one, other in zip(found, wanted):
            np.testing.assert_array_equal(one, other)


def test_no_object_at_all(tmp_path):
    path = str(tmp_path / "test.npz")
    write_boxed_images(path, images(), [OBJECTS[1]] * 3)
    assert [len(found[0]) for found in read_boxed_images(path)[1]] == [0, 0, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"first": np.array([0, 2, 2])},
        {"first": np.array([0, 2, 1, 3])},
        {"corners": np.zeros((2, 4), np.float32)},
        {"images": np.zeros((3, 16, 16), np.uint8)},
        {"ignored": np.zeros(3)},
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, wrong):
    path = str(tmp_path / "test.npz")
    write_boxed_images(path, images(), OBJECTS)
    with np.load(path) as arrays:
        np.savez(path, **dict(dict(arrays), **wrong))
    with pytest.raises(UserError, match="do not fit"):
        read_boxed_images(path)


def test_labelled_images_are_no_boxed_ones(tmp_path):
    path = str(tmp_path / "test.npz")
    np.savez(path, images=images(), labels=np.zeros(3, np.int64))
    with pytest.raises(UserError, match="corners"):
        read_boxed_images(path)


def test_mean_average_precision_by_hand():
    pixels, done = images(), []
    found = evaluate_boxes(
        Runner(), Bundle(), lambda i: pixels[i], lambda i: [OBJECTS[k] for k in i], 3, done.append
    )
    # the hat is found without a false one; the shoe is not found, and one is where none is
    assert found == {
        "value": 0.5,
        "metric": "mAP@0.5",
        "n": 3,
        "objects": 2,
        "classes": {"hat": 1.0, "shoe": 0.0},
    }
    assert sum(done) == 3


@pytest.mark.parametrize(
    ("bundle", "objects", "says"),
    [
        (Bundle(task="classification"), OBJECTS, "is for classification, not detection"),
        (Bundle(settings=dict(SETTINGS, classes=1)), OBJECTS, "has 1 classes, .* class 1"),
        (Bundle(), [OBJECTS[1]] * 3, "no objects"),
    ],
)
def test_data_and_bundle_must_fit(bundle, objects, says):
    pixels, runner = images(), Runner(5 + bundle.manifest["postprocessing"]["classes"])
    with pytest.raises(UserError, match=says):
        evaluate_boxes(runner, bundle, lambda i: pixels[i], lambda i: [objects[k] for k in i], 3)
