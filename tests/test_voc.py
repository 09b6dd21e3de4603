"""`voc:DIR` on small folders with real pictures, and its XML from anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotated_files import voc_xml, write_voc
from edgesynth.core.dataset import Dataset, boxed
from edgesynth.core.errors import UserError
from edgesynth.core.progress import Silent
from edgesynth.data.source import load_dataset
from edgesynth.data.voc import CLASSES, load_voc
from edgesynth.data.voc_xml import parse_annotation

DOG = ("dog", (10.0, 5.0, 20.0, 15.0))
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CAT = ("?cat", (0.0, 0.0, 40.0, 20.0))


def write_usual(year: Path) -> None:
    write_voc(
        year,
        {
            "train": {f"00{i}": [DOG] for i in range(4)},
            "val": {"100": [DOG, CAT], "101": []},
            "test": {"200": [("tvmonitor", (0, 0, 1, 1))]},
        },
    )


def sizes(dataset: Dataset) -> list[int]:
    return [len(split) for split in (dataset.train, dataset.validation, dataset.test)]


def test_parts_classes_and_boxes(tmp_path: Path) -> None:
    write_usual(tmp_path)
    dataset = load_dataset(f"voc:{tmp_path},size=80x60")
    assert dataset.task == "detection"
    assert dataset.input_shape == (3, 60, 80)
    assert dataset.classes == CLASSES
    assert sizes(dataset) == [4, 2, 1]
    dog, empty = boxed(dataset.validation).boxes(np.arange(2))
    assert dog.corners.tolist() == [[20, 15, 40, 45], [0, 0, 80, 60]]  # twice as wide, 3 x as high
    assert dog.classes.tolist() == [CLASSES.index("dog"), CLASSES.index("cat")]
    assert dog.ignored.tolist() == [False, True]
    assert dog.corners.dtype == np.float32
    assert empty.corners.shape == (0, 4)


def test_the_box_is_where_the_object_is(tmp_path: Path) -> None:
    write_usual(tmp_path)
    dataset = load_dataset(f"voc:{tmp_path},size=80x60")
    image = dataset.train.images(np.array([2]))[0]
    assert image.shape == (3, 60, 80)
    assert image.dtype == np.uint8
    left, top, right, bottom = boxed(dataset.train).boxes(np.array([2]))[0].corners[0].astype(int)
    inside = image[:, top:bottom, left:right]
    assert inside[:, 3:-3, 3:-3].min() > 200
    assert image.sum() < 1.5 * inside.sum()


def test_without_a_test_part_val_is_the_test(tmp_path: Path) -> None:
    write_voc(tmp_path, {"train": {f"{i:03}": [DOG] for i in range(20)}, "val": {"100": [CAT]}})
    dataset = load_dataset(f"voc:{tmp_path},size=32", seed=3)
    assert sizes(dataset) == [18, 2, 1]
    again = load_dataset(f"voc:{tmp_path},size=32", seed=3)
    other = load_dataset(f"voc:{tmp_path},size=32@5", seed=4)
    assert again.train.entries[5].image == dataset.train.entries[5].image
    assert sizes(other) == [5, 2, 1]
    assert other.test.entries[0].image == dataset.test.entries[0].image


def test_years_are_taken_together(tmp_path: Path) -> None:
    write_usual(tmp_path / "VOC2007")
    write_voc(tmp_path / "VOC2012", {"train": {"2008_000002": [DOG]}, "val": {"2008_3": [CAT]}})
    assert sizes(load_dataset(f"voc:{tmp_path},size=32")) == [5, 3, 1]


def test_own_classes(tmp_path: Path) -> None:
    write_voc(tmp_path, {"train": {f"{i}": [("bolt", DOG[1])] for i in range(12)}})
    with pytest.raises(UserError, match=r'0.xml: line 3: unknown class "bolt"; .*labels.txt'):
        load_dataset(f"voc:{tmp_path}")
    (tmp_path / "labels.txt").write_text("nut\nbolt\n")
    dataset = load_dataset(f"voc:{tmp_path},size=32")
    assert dataset.classes == ("nut", "bolt")
    assert sizes(dataset) == [10, 1, 1]


class Heard(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_boxes_outside_are_cut_and_counted(tmp_path: Path) -> None:
    odd = [("dog", (30, 5, 50, 15)), ("cat", (60, 5, 70, 15)), ("cow", (-5, -5, 10, 10)), DOG]
    write_voc(tmp_path, {"train": {"0": [DOG], "1": odd}, "val": {"2": []}, "test": {"3": []}})
    heard = Heard()
    dataset = load_voc(tmp_path, name="voc:x", size=(40, 32), progress=heard)
    assert [line.split(";")[0] for line in heard.lines] == [
        "voc:x: 2 boxes reach beyond their image and were cut at its border, "
        "1 without area inside it were left out"
    ]
    assert "1.xml" in heard.lines[0]
    boxes = boxed(dataset.train).boxes(np.array([1]))[0]
    assert boxes.classes.tolist() == [CLASSES.index(name) for name in ("dog", "cow", "dog")]
    assert boxes.corners[0].tolist() == [30, 8, 40, 24]


def damage(root: Path, what: str) -> None:
    annotation, picture = root / "Annotations/001.xml", root / "JPEGImages/001.jpg"
    listed = root / "ImageSets/Main/train.txt"
    text = annotation.read_text()
    changes = {
        "no picture": picture.unlink,
        "no picture file": lambda: picture.write_bytes(b"GIF89a nothing"),
        "other size": lambda: annotation.write_text(text.replace("<width>40", "<width>41")),
        "no annotation": annotation.unlink,
        "cut off": lambda: annotation.write_text(text[:70]),
        "turned": lambda: annotation.write_text(text.replace("<xmax>20.0", "<xmax>2")),
        "no number": lambda: annotation.write_text(text.replace("<xmax>20.0", "<xmax>nan")),
        "no box": lambda: annotation.write_text(text.replace("bndbox", "box")),
        "no name": lambda: annotation.write_text(text.replace("dog", "")),
        "typo": lambda: annotation.write_text(text.replace("dog", "dgo")),
        "difficult": lambda: annotation.write_text(text.replace("difficult>0", "difficult>2")),
        "path": lambda: listed.write_text("../001\n"),
        "twice": lambda: listed.write_text("001\n002\n001\n"),
        "empty list": lambda: listed.write_text("\n"),
        "no text": lambda: listed.write_bytes(b"\xff\xfe\xff"),
    }
    changes[what]()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no picture", r"001.xml: image .*001.jpg \(or .png\) is missing"),
        ("no picture file", r"image .*001.jpg cannot be read"),
        ("other size", r"001.jpg has 40 x 20 pixels, its annotation is for 41 x 20"),
        ("no annotation", r"001.xml cannot be read: No such file"),
        ("cut off", r"001.xml is not well-formed XML"),
        ("turned", r"001.xml: line 3: the box ends before it begins \(11 6 2 15\)"),
        ("no number", r'001.xml: line 3: <xmax> is "nan", not a number'),
        ("no box", r'001.xml: line 3: object "dog" has no <bndbox>'),
        ("no name", r"001.xml: line 3: <object> has no <name>"),
        ("typo", r'001.xml: line 3: unknown class "dgo"; did you mean "dog"\?'),
        ("difficult", r'001.xml: line 3: <difficult> is "2", not 0 or 1'),
        ("path", r"train.txt: line 1 is no plain file name"),
        ("twice", r"train.txt: line 3 repeats line 1 \(001\)"),
        ("empty list", r"train.txt names no image"),
        ("no text", r"train.txt: byte 0 is not UTF-8"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_place(tmp_path: Path, what: str, message: str) -> None:
    write_usual(tmp_path)
    damage(tmp_path, what)
    with pytest.raises(UserError, match=message) as caught:
        load_dataset(f"voc:{tmp_path},size=32")
    assert "\n" not in str(caught.value)


def test_another_folder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no ImageSets/Main/.*give VOCdevkit/VOC2007"):
        load_dataset(f"voc:{tmp_path}")
    write_usual(tmp_path)
    with pytest.raises(UserError, match=r"size=16x48 is out of range; give 32 to 2048"):
        load_dataset(f"voc:{tmp_path},size=16x48")


EXPANDING = """<?xml version="1.0"?>
<!DOCTYPE annotation [<!ENTITY a "0123456789"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<annotation><object><name>&b;</name></object></annotation>"""


def test_document_types_are_refused() -> None:
    with pytest.raises(UserError, match=r"x.xml: line 2 declares a document type"):
        parse_annotation(EXPANDING.encode(), "x.xml")


edges = st.integers(0, 5000)
names = st.sampled_from(CLASSES)


@patient
@given(
    st.lists(
        st.tuples(names, st.booleans(), st.tuples(edges, edges), st.tuples(edges, edges)),
        max_size=6,
    ),
    st.one_of(st.none(), st.tuples(st.integers(1, 5000), st.integers(1, 5000))),
)
def test_what_is_written_is_read(objects: list, size: tuple[int, int] | None) -> None:
    written = [
        (("?" if difficult else "") + name, (min(x), min(y), max(x) + 1, max(y) + 1))
        for name, difficult, x, y in objects
    ]
    found = parse_annotation(voc_xml(written, size).encode(), "x.xml")
    assert found.size == size
    assert [
        (("?" if each.difficult else "") + each.name, each.corners) for each in found.objects
    ] == written


WHOLE = voc_xml([DOG, CAT]).encode()


@patient
@given(st.data())
def test_damaged_annotations_never_break_the_parser(data: st.DataObject) -> None:
    contents = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(contents)))
        stop = start + data.draw(st.integers(0, 12))
        contents[start:stop] = data.draw(st.binary(max_size=12))
    try:
        parse_annotation(bytes(contents), "x.xml")
    except UserError as error:
        assert str(error).startswith("x.xml")
        assert str(error).isprintable()
