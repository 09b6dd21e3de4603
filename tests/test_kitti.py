"""`kitti:DIR` on small folders with real pictures, and its label lines from anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotated_files import kitti_line, write_kitti
from edgesynth.core.dataset import boxed
from edgesynth.core.errors import UserError
from edgesynth.data.kitti_labels import KINDS, parse_line
from edgesynth.data.source import load_dataset

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CAR = kitti_line("Car", (10, 10, 60, 55))
SPLIT = {
    "000": [CAR, kitti_line("DontCare", (0, 0, 20, 6), -1, -1)],
    "001": [kitti_line("Van", (10, 10, 60, 55)), kitti_line("Tram", (0, 0, 9, 9)), "\n"],
    "002": [kitti_line("Cyclist", (10, 10, 20, 36), 0.2, 1)],
    "003": [],
    "004": [kitti_line("Person_sitting", (50, 10, 110, 70))],
}


def write_split(folder: Path) -> None:
    write_kitti(folder / "training", SPLIT)
    (folder / "ImageSets").mkdir()
    (folder / "ImageSets/train.txt").write_text("000\n001\n002\n")
    (folder / "ImageSets/val.txt").write_text("003\n004\n")


def test_boxes_levels_and_what_is_ignored(tmp_path: Path) -> None:
    write_split(tmp_path)
    dataset = load_dataset(f"kitti:{tmp_path},size=200x60", seed=0, validation=1)
    assert dataset.task == "detection"
    assert dataset.input_shape == (3, 60, 200)
    assert dataset.classes == ("Car", "Pedestrian", "Cyclist")
    by_name = {
        entry.image.stem: (split, index)
        for split in (dataset.train, dataset.validation, dataset.test)
        for index, entry in enumerate(split.entries)
    }
    assert sorted(by_name) == sorted(SPLIT)
    found = {}
    for name, (split, index) in by_name.items():
        boxes = boxed(split).boxes(np.array([index]))[0]
        levels = split.levels(np.array([index]))[0].tolist()
        found[name] = (
            boxes.corners.tolist(),
            boxes.classes.tolist(),
            boxes.ignored.tolist(),
            levels,
        )
    assert found == {
        "000": ([[20, 10, 120, 55], [0, 0, 40, 6]], [0, -1], [False, True], [0, 3]),
        "001": ([[20, 10, 120, 55]], [0], [True], [0]),  # a tram is nothing
        "002": ([[20, 10, 40, 36]], [2], [False], [1]),
        "003": ([], [], [], []),
        "004": ([[100, 10, 200, 60]], [1], [True], [0]),  # cut at the border
    }


def test_val_is_the_test_where_there_is_no_other(tmp_path: Path) -> None:
    write_split(tmp_path)
    dataset = load_dataset(f"kitti:{tmp_path},size=64x32", validation=1)
    assert [entry.image.stem for entry in dataset.test.entries] == ["003", "004"]
    assert (len(dataset.train), len(dataset.validation)) == (2, 1)
    assert dataset.test.images(np.arange(2)).shape == (2, 3, 32, 64)
    assert dataset.test.vertical_scales(np.arange(2)).tolist() == [60 / 32] * 2


def test_without_lists_a_tenth_is_cut_the_same_for_every_seed(tmp_path: Path) -> None:
    write_kitti(tmp_path, {f"{i:06}": [CAR] for i in range(30)}, size=(50, 40))
    one = load_dataset(f"kitti:{tmp_path},size=32", seed=1)
    two = load_dataset(f"kitti:{tmp_path},size=32@20", seed=2)
    assert [len(split) for split in (one.train, one.validation, one.test)] == [24, 3, 3]
    assert len(two.train) == 20
    assert one.test.entries[0].image == two.test.entries[0].image
    names = [e.image for s in (one.train, one.validation, one.test) for e in s.entries]
    assert len(set(names)) == 30


def test_own_classes(tmp_path: Path) -> None:
    write_kitti(tmp_path, {f"{i}": [kitti_line("Van", (1, 1, 9, 9)), CAR] for i in range(12)})
    (tmp_path / "labels.txt").write_text("Van\n")
    boxes = boxed(load_dataset(f"kitti:{tmp_path},size=32").train).boxes(np.array([0]))[0]
    assert (boxes.classes.tolist(), boxes.ignored.tolist()) == ([0], [False])  # no car


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Car 0 0", "002.txt: line 2: 3 fields, not 15"),
        (CAR.replace("Car", "car!"), 'line 2: unknown type "car!"; did you mean "Car"'),
        (CAR.replace("10.00", "ten", 1), 'line 2: field 5 is "ten", not a number'),
        (CAR.replace("10.00", "inf", 1), 'line 2: field 5 is "inf", not a number'),
        (CAR.replace("Car 0.00 0", "Car 0.00 7"), 'field 3, occluded, is "7"'),
        (CAR.replace("Car 0.00 0", "Car 9.00 0"), 'field 2, truncated, is "9.00"'),
        (kitti_line("Car", (9, 9, 5, 20)), "the box ends before it begins"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    write_kitti(tmp_path, {f"{i:03}": [CAR] for i in range(12)})
    (tmp_path / "label_2/002.txt").write_text(CAR + line)
    with pytest.raises(UserError, match=message) as caught:
        load_dataset(f"kitti:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no image_2/ \(nor training/image_2/\)"):
        load_dataset(f"kitti:{tmp_path}")
    write_kitti(tmp_path, {f"{i:03}": [CAR] for i in range(12)})
    (tmp_path / "image_2/005.png").unlink()
    with pytest.raises(UserError, match=r"label_2/005.txt: image .*005.jpg \(or .png\) is missing"):
        load_dataset(f"kitti:{tmp_path}")


@pytest.mark.parametrize(
    ("height", "occluded", "truncated", "level"),
    [
        (40, 0, 0.15, 0),
        (39, 0, 0, 1),
        (40, 1, 0, 1),
        (40, 0, 0.16, 1),
        (25, 2, 0.5, 2),
        (24, 0, 0, 3),
        (99, 3, 0, 3),
        (99, 0, 0.51, 3),
    ],
)
def test_levels_are_those_of_the_kit(
    height: float, occluded: int, truncated: float, level: int
) -> None:
    line = kitti_line("Car", (0, 0, 50, height), truncated, occluded)
    assert parse_line(line, "x").level == level


edges = st.floats(0, 2000).map(lambda value: round(value, 2))
pairs = st.tuples(edges, edges).map(sorted)


@patient
@given(
    st.sampled_from(KINDS),
    pairs,
    pairs,
    st.floats(0, 1).map(lambda value: round(value, 2)),
    st.integers(-1, 3),
)
def test_what_is_written_is_read(
    kind: str, across: list[float], along: list[float], truncated: float, occluded: int
) -> None:
    corners = (across[0], along[0], across[1], along[1])
    found = parse_line(kitti_line(kind, corners, truncated, occluded), "x")
    assert (found.kind, found.truncated, found.occluded) == (kind, truncated, occluded)
    assert found.corners == corners


@patient
@given(st.one_of(st.text(max_size=80), st.lists(st.text(max_size=9), max_size=17).map(" ".join)))
def test_any_other_line_is_one_error(line: str) -> None:
    with pytest.raises(UserError, match=r"^x: ") as caught:
        parse_line(line, "x")
    assert str(caught.value).isprintable()
