"""`coco:DIR` on small folders with real pictures, and its documents from anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotated_files import coco_document, write_coco
from edgesynth.core.dataset import boxed
from edgesynth.core.errors import UserError
from edgesynth.data.coco_json import parse_instances
from edgesynth.data.source import load_dataset

NAMES = ("person", "bicycle")
ONE = ("person", (10.0, 5.0, 20.0, 15.0))
CROWD = ("?bicycle", (0.0, 0.0, 40.0, 20.0))


def write_usual(folder: Path) -> Path:
    parts = {
        "train2017": {f"{i}.jpg": [ONE] for i in range(20)},
        "val2017": {"100.jpg": [ONE, CROWD], "101.jpg": []},
    }
    write_coco(folder, parts, NAMES)
    return folder / "annotations/instances_train2017.json"


def test_parts_classes_and_boxes(tmp_path: Path) -> None:
    write_usual(tmp_path)
    dataset = load_dataset(f"coco:{tmp_path},size=80x60")
    assert dataset.task == "detection"
    assert dataset.input_shape == (3, 60, 80)
    assert dataset.classes == NAMES
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [18, 2, 2]
    found, empty = boxed(dataset.test).boxes(np.arange(2))
    assert found.corners.tolist() == [[20, 15, 40, 45], [0, 0, 80, 60]]
    assert found.classes.tolist() == [0, 1]
    assert found.ignored.tolist() == [False, True]
    assert empty.corners.shape == (0, 4)
    image = dataset.test.images(np.array([0]))[0]
    assert image[:, 20:40, 25:35].min() > 200  # white where the box is


def test_a_test_part_of_ones_own_is_used(tmp_path: Path) -> None:
    write_usual(tmp_path)
    parts = {"test_own": {"7.jpg": [ONE]}}
    write_coco(tmp_path, parts, NAMES)
    dataset = load_dataset(f"coco:{tmp_path},size=32@4")
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [4, 2, 1]


def changed(key: str, index: int, **values: Any) -> Callable[[dict], None]:
    return lambda document: document[key][index].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("images", 3, file_name="../x.jpg"), r"images\[3\].file_name leaves the folder"),
        (changed("images", 3, file_name="/x.jpg"), r"images\[3\].file_name leaves the folder"),
        (changed("images", 3, file_name="x.jpg"), r"train2017.json: image .*x.jpg is missing"),
        (changed("images", 3, width=0), r"images\[3\] is 0 x 20 pixels"),
        (changed("images", 3, height="20"), r"Expected `int`, got `str`.*\$.images\[3\].height"),
        (changed("images", 3, id=3), r"images\[3\].id 3 occurs twice"),
        (changed("categories", 1, id=10), r"categories\[1\].id 10 occurs twice"),
        (changed("annotations", 2, category_id=11), r"annotations\[2\] refers to image 3, .* 11"),
        (changed("annotations", 2, bbox=[1, 2, -3, 4]), r"annotations\[2\].bbox has no size"),
        (changed("annotations", 2, bbox=[1, 2, 3]), r"Expected `array` of length 4"),
        (lambda document: document.pop("categories"), r"missing required field `categories`"),
        (lambda document: document["categories"][0].update(name="x"), r"categories differ"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_place(
    tmp_path: Path, change: Callable[[dict], None], message: str
) -> None:
    file = write_usual(tmp_path)
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
    with pytest.raises(UserError, match=message) as caught:
        load_dataset(f"coco:{tmp_path},size=32")
    assert "\n" not in str(caught.value)


def test_a_picture_of_another_size_is_named(tmp_path: Path) -> None:
    file = write_usual(tmp_path)
    file.write_text(file.read_text().replace('"width": 40', '"width": 41'))
    with pytest.raises(UserError, match=r"0.jpg has 40 x 20 pixels, its annotation is for 41 x 20"):
        load_dataset(f"coco:{tmp_path},size=32")


def test_boxes_without_width_are_left_out(tmp_path: Path) -> None:
    """COCO's own train file has some."""
    flat = ("person", (10.0, 5.0, 10.0, 15.0))
    write_coco(tmp_path, {"train": {f"{i}.jpg": [flat, ONE] for i in range(12)}}, NAMES)
    dataset = load_dataset(f"coco:{tmp_path},size=32")
    assert len(boxed(dataset.train).boxes(np.array([0]))[0].classes) == 1


def test_another_folder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no instances_train"):
        load_dataset(f"coco:{tmp_path}")
    write_usual(tmp_path)
    write_coco(tmp_path, {"train2014": {}}, NAMES)
    with pytest.raises(UserError, match=r"instances_train2014.json and instances_train2017.json"):
        load_dataset(f"coco:{tmp_path}")


WHOLE = json.dumps(coco_document({"1.jpg": [ONE, CROWD]}, NAMES)).encode()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_documents_never_break_the_parser(data: st.DataObject) -> None:
    contents = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(contents)))
        stop = start + data.draw(st.integers(0, 12))
        contents[start:stop] = data.draw(st.binary(max_size=12))
    try:
        parse_instances(bytes(contents), "x.json")
    except UserError as error:
        assert str(error).startswith("x.json")
        assert str(error).isprintable()


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(UserError, match=r"x.json is no COCO instances file"):
        parse_instances(b'{"images": ' + b"[" * 100_000, "x.json")
    with pytest.raises(UserError, match=r"x.json is no COCO instances file"):
        parse_instances(b'{"info": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "x.json")
