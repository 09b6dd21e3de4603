"""Instance files of COCO: images, boxes and categories in one JSON document.

Only what detection needs is decoded; segmentations are skipped without being built, so that the
450 MB of COCO's own train file need little more memory than that.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from edgesynth.core.errors import UserError
from edgesynth.data.idx import read_bytes


class Image(msgspec.Struct, gc=False):
    """A picture; `file_name` is relative to the part's folder."""

    id: int
    file_name: str
    width: int
    height: int


class Annotation(msgspec.Struct, gc=False):
    """An object; `bbox` is left, top, width, height in pixels."""

    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


class Category(msgspec.Struct):
    """A class and the number that annotations know it by."""

    id: int
    name: str


class Instances(msgspec.Struct):
    """The whole document."""

    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]


def read_instances(file: Path) -> Instances:
    """The document in `file`; UserError names the file and the element that is wrong."""
    return parse_instances(read_bytes(file), str(file))


def parse_instances(contents: bytes, name: str) -> Instances:
    """`read_instances` for contents already in memory; `name` is the file in error messages.

    Images have a size, their ids and those of categories are unique, annotations refer to both.
    """
    try:
        document = msgspec.json.decode(contents, type=Instances)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{name} is no COCO instances file: {error}") from None
    for index, image in enumerate(document.images):
        if min(image.width, image.height) < 1 or max(image.width, image.height) > 1 << 20:
            raise UserError(f"{name}: images[{index}] is {image.width} x {image.height} pixels")
        parts = image.file_name.replace("\\", "/").split("/")
        if not image.file_name.isprintable() or ".." in parts or "" in parts:
            raise UserError(f"{name}: images[{index}].file_name leaves the folder of the images")
    images = _unique([image.id for image in document.images], f"{name}: images")
    categories = _unique([each.id for each in document.categories], f"{name}: categories")
    for index, found in enumerate(document.annotations):
        left, top, width, height = found.bbox
        if not (width >= 0 and height >= 0 and math.isfinite(left + top + width + height)):
            raise UserError(f"{name}: annotations[{index}].bbox has no size: {list(found.bbox)}")
        if found.image_id not in images or found.category_id not in categories:
            raise UserError(
                f"{name}: annotations[{index}] refers to image {found.image_id}, category "
                f"{found.category_id}; one of them is not in the file"
            )
    return document


def _unique(ids: list[int], place: str) -> set[int]:
    known: set[int] = set()
    for index, each in enumerate(ids):
        if each in known:
            raise UserError(f"{place}[{index}].id {each} occurs twice")
        known.add(each)
    return known
