"""`kitti:DIR`: KITTI's object benchmark, `image_2/*.png` with `label_2/*.txt`.

DIR may also be the folder that holds `training/`. Classes are Car, Pedestrian and Cyclist, or those
in `DIR/labels.txt`. As in the development kit, Van is an ignored Car, Person_sitting an ignored
Pedestrian and DontCare an ignored region of no class; other types are no objects at all.

`train.txt`, `val.txt` and maybe `test.txt`, in DIR or in `DIR/ImageSets`, say what belongs where:
use those of the papers you compare with. Without them a tenth is cut for testing at random, and
since many frames are neighbours of one drive, figures on that cut are better than they should be.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress, Silent
from edgesynth.data.annotated import (
    VALIDATION,
    Annotated,
    Clipping,
    Parts,
    assemble,
    find_picture,
    read_classes,
    read_lines,
    read_names,
)
from edgesynth.data.kitti_labels import KINDS, parse_line
from edgesynth.data.pictures import picture_size

SIZE = (1248, 384)
"""Width and height near the files' 1242 x 375, multiples of DetectNet's stride of 16."""

CLASSES = ("Car", "Pedestrian", "Cyclist")
_NEIGHBOURS = {"Van": "Car", "Person_sitting": "Pedestrian"}


def load_kitti(
    folder: Path,
    *,
    name: str,
    size: tuple[int, int] = SIZE,
    seed: int = 0,
    validation: float | int = VALIDATION,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """KITTI's labelled images, resized to `size` (width, height).

    Its splits also have `levels` (difficulty of each object) for KITTI's own evaluation. Raises
    UserError naming file and line of what is wrong.
    """
    progress = progress or Silent()
    root = folder if (folder / "label_2").is_dir() else folder / "training"
    for needed in ("image_2", "label_2"):
        if not (root / needed).is_dir():
            raise UserError(f"{folder} holds no {needed}/ (nor training/{needed}/); is it KITTI?")
    classes = read_classes(folder, CLASSES)
    clipping = Clipping()

    def read(names: list[str] | None) -> list[Annotated] | None:
        if names is None:
            return None
        with progress.track("reading labels", len(names)) as task:
            found = []
            for each in names:
                found.append(_read(root, each, classes, clipping))
                task.advance()
        return found

    train, held_out, test = (_listed(folder, part) for part in ("train", "val", "test"))
    if train is None:
        train = sorted(file.stem for file in (root / "label_2").glob("*.txt"))
        outside = {*(held_out or ()), *(test or ())}
        train = [each for each in train if each not in outside]
    if not train:
        raise UserError(f"{root / 'label_2'} holds no label file for training")
    parts = Parts(read(train) or [], read(held_out), read(test))
    clipping.tell(name, progress)
    return assemble(
        parts,
        classes,
        name=name,
        size=size,
        seed=seed,
        validation=validation,
        limit=limit,
        progress=progress,
    )


def _listed(folder: Path, part: str) -> list[str] | None:
    for place in (folder / "ImageSets", folder):
        if (place / f"{part}.txt").is_file():
            return read_names(place / f"{part}.txt")
    return None


def _read(root: Path, stem: str, classes: tuple[str, ...], clipping: Clipping) -> Annotated:
    file = root / "label_2" / f"{stem}.txt"
    image = find_picture(root / "image_2", stem, file)
    corners, indices, ignored, levels = [], [], [], []
    kinds = tuple(dict.fromkeys((*KINDS, *classes)))
    for number, line in enumerate(read_lines(file), 1):
        if not line.strip():
            continue
        found = parse_line(line, f"{file}: line {number}", kinds)
        kind = found.kind
        if kind not in classes:
            kind = _NEIGHBOURS.get(kind, kind)
        if kind not in classes and kind != "DontCare":
            continue
        corners.append(found.corners)
        indices.append(classes.index(kind) if kind in classes else -1)
        ignored.append(found.kind not in classes)
        levels.append(found.level)
    width, height = picture_size(image)
    boxes, kept = clipping.fit(corners, indices, ignored, (width, height), str(file))
    return Annotated(image, width, height, boxes, np.array(levels, np.int64)[kept])
