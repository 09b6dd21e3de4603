"""`voc:DIR`: PASCAL VOC, `ImageSets/Main/*.txt`, `Annotations/*.xml` and `JPEGImages/`.

DIR is one year (`VOCdevkit/VOC2007`), or a folder of years (`VOCdevkit`), which are then taken
together: with 2007 and 2012 in it that is the usual "07+12". `train.txt`, `val.txt` and `test.txt`
are the splits; without `test.txt` (2012 keeps it secret) `val.txt` is the test split. Difficult
objects are ignored. Classes are VOC's twenty, or those in `DIR/labels.txt`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import UserError, nearest, shown
from edgesynth.core.progress import Progress, Silent
from edgesynth.data.annotated import (
    VALIDATION,
    Annotated,
    Clipping,
    Parts,
    assemble,
    find_picture,
    read_classes,
    read_names,
)
from edgesynth.data.pictures import picture_size
from edgesynth.data.voc_xml import VocObject, read_annotation

SIZE = (416, 416)
"""YOLOv2's input (arXiv 1612.08242, section 2)."""

CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


def load_voc(
    folder: Path,
    *,
    name: str,
    size: tuple[int, int] = SIZE,
    seed: int = 0,
    validation: float | int = VALIDATION,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """VOC's annotated images, resized to `size` (width, height).

    Raises UserError naming file and line of what is wrong.
    """
    shown_to: Progress = progress or Silent()
    years = _years(folder)
    classes = read_classes(folder, CLASSES)
    clipping = Clipping()

    def read(part: str) -> list[Annotated] | None:
        listed = [(year, each) for year in years for each in _listed(year, part)]
        found = []
        with shown_to.track(f"reading annotations of {part}", len(listed)) as task:
            for year, each in listed:
                found.append(_read(year, each, classes, clipping))
                task.advance()
        return found or None

    train = read("train")
    if train is None:
        raise UserError(f"{years[0] / 'ImageSets' / 'Main' / 'train.txt'} is missing")
    parts = Parts(train, read("val"), read("test"))
    clipping.tell(name, shown_to)
    return assemble(
        parts,
        classes,
        name=name,
        size=size,
        seed=seed,
        validation=validation,
        limit=limit,
        progress=shown_to,
    )


def _years(folder: Path) -> list[Path]:
    def complete(place: Path) -> bool:
        return all(
            (place / each).is_dir() for each in ("ImageSets/Main", "Annotations", "JPEGImages")
        )

    found = [folder] if complete(folder) else sorted(filter(complete, _folders(folder)))
    if not found:
        raise UserError(
            f"{folder} holds no ImageSets/Main/, Annotations/ and JPEGImages/, nor folders that "
            "do; give VOCdevkit/VOC2007 or VOCdevkit"
        )
    return found


def _folders(folder: Path) -> Iterable[Path]:
    return (each for each in folder.iterdir() if each.is_dir())


def _listed(year: Path, part: str) -> list[str]:
    file = year / "ImageSets" / "Main" / f"{part}.txt"
    return read_names(file) if file.is_file() else []


def _read(year: Path, stem: str, classes: tuple[str, ...], clipping: Clipping) -> Annotated:
    file = year / "Annotations" / f"{stem}.xml"
    annotation = read_annotation(file)
    image = find_picture(year / "JPEGImages", stem, file)
    objects = annotation.objects
    size = annotation.size or picture_size(image)
    boxes, _ = clipping.fit(
        [each.corners for each in objects],
        [_class_of(each, classes, file) for each in objects],
        [each.difficult for each in objects],
        size,
        str(file),
    )
    return Annotated(image, *size, boxes)


def _class_of(found: VocObject, classes: tuple[str, ...], file: Path) -> int:
    if found.name not in classes:
        raise UserError(
            f'{file}: line {found.line}: unknown class "{shown(found.name)}"; '
            f"{nearest(found.name, list(classes))} Other classes are listed in labels.txt beside "
            "Annotations/"
        )
    return classes.index(found.name)
