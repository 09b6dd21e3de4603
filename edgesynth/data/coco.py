"""`coco:DIR`: COCO, `annotations/instances_NAME.json` with its pictures in `NAME/`.

NAME begins with train, val or test (`train2017`); one of each at most. Without labelled test
pictures, which COCO does not publish, val is the test split. Crowds are ignored. Classes are the
train file's categories by id.
"""

from __future__ import annotations

from pathlib import Path

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress, Silent
from edgesynth.data.annotated import VALIDATION, Annotated, Clipping, Parts, assemble
from edgesynth.data.coco_json import Annotation, Category, Instances, read_instances

SIZE = (416, 416)


def load_coco(
    folder: Path,
    *,
    name: str,
    size: tuple[int, int] = SIZE,
    seed: int = 0,
    validation: float | int = VALIDATION,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """COCO's annotated images, resized to `size` (width, height).

    Raises UserError naming the file and the element that is wrong.
    """
    progress = progress or Silent()
    files = {part: _file(folder, part) for part in ("train", "val", "test")}
    if files["train"] is None:
        raise UserError(f"{folder / 'annotations'} holds no instances_train*.json; is it COCO?")
    clipping = Clipping()
    categories: list[Category] | None = None
    read: dict[str, list[Annotated]] = {}
    for part, file in files.items():
        if file is None:
            continue
        document = read_instances(file)
        own = sorted(document.categories, key=lambda each: each.id)
        if categories is not None and own != categories:
            raise UserError(f"{file}: its categories differ from those of {files['train']}")
        categories = own
        read[part] = _entries(document, file, categories, clipping)
        if not read[part]:
            raise UserError(f"{file} lists no images")
    clipping.tell(name, progress)
    return assemble(
        Parts(read["train"], read.get("val"), read.get("test")),
        tuple(each.name for each in categories or ()),
        name=name,
        size=size,
        seed=seed,
        validation=validation,
        limit=limit,
        progress=progress,
    )


def _file(folder: Path, part: str) -> Path | None:
    found = sorted((folder / "annotations").glob(f"instances_{part}*.json"))
    if len(found) > 1:
        raise UserError(
            f"{folder / 'annotations'} holds {found[0].name} and {found[1].name}; keep one"
        )
    return found[0] if found else None


def _entries(
    document: Instances, file: Path, categories: list[Category], clipping: Clipping
) -> list[Annotated]:
    by_image: dict[int, list[Annotation]] = {image.id: [] for image in document.images}
    for each in document.annotations:
        by_image[each.image_id].append(each)
    classes = {category.id: index for index, category in enumerate(categories)}
    pictures = file.parent.parent / file.stem.removeprefix("instances_")
    entries = []
    for image in sorted(document.images, key=lambda each: each.id):
        path = pictures / image.file_name
        if not path.is_file():
            raise UserError(f"{file}: image {path} is missing")
        found = by_image[image.id]
        size = (image.width, image.height)
        boxes, _ = clipping.fit(
            [_corners(each) for each in found],
            [classes[each.category_id] for each in found],
            [bool(each.iscrowd) for each in found],
            size,
            f"{file}, {image.file_name}",
        )
        entries.append(Annotated(path, *size, boxes))
    return entries


def _corners(found: Annotation) -> tuple[float, float, float, float]:
    left, top, width, height = found.bbox
    return left, top, left + width, top + height
