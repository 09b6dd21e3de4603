"""Small VOC, KITTI and COCO folders with real pictures, for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

Box = tuple[str, tuple[float, float, float, float]]
"""Class and left, top, right, bottom edges in pixels."""

OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin>"
    "<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>\n"
)


def write_picture(path: Path, size: tuple[int, int] = (40, 20), box: Sequence[float] = ()) -> None:
    """A black picture, white inside `box`, in the format of the path's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", size)
    if box:
        left, top, right, bottom = map(int, box)
        picture.paste((255, 255, 255), (left, top, right, bottom))
    picture.save(path)


def voc_xml(objects: Sequence[Box], size: tuple[int, int] | None = (40, 20)) -> str:
    """An annotation as VOC writes it; a class that begins with "?" is marked difficult."""
    where = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>\n" if size else ""
    body = "".join(
        OBJECT.format(name.lstrip("?"), int(name[0] == "?"), left + 1, top + 1, right, bottom)
        for name, (left, top, right, bottom) in objects
    )
    return f"<annotation>\n{where}{body}</annotation>\n"


def write_voc(year: Path, parts: Mapping[str, Mapping[str, Sequence[Box]]]) -> None:
    """A year of VOC: for every part, image names and their objects."""
    for part, images in parts.items():
        (year / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
        (year / f"ImageSets/Main/{part}.txt").write_text("".join(f"{name}\n" for name in images))
        for name, objects in images.items():
            (year / "Annotations").mkdir(exist_ok=True)
            (year / f"Annotations/{name}.xml").write_text(voc_xml(objects))
            box = objects[0][1] if objects else ()
            write_picture(year / f"JPEGImages/{name}.jpg", box=box)


def kitti_line(kind: str, box: Sequence[float], truncated: float = 0, occluded: int = 0) -> str:
    """A label line with the fields that detection does not use filled in."""
    edges = " ".join(f"{edge:.2f}" for edge in box)
    return f"{kind} {truncated:.2f} {occluded} -1.57 {edges} 1.5 1.6 3.7 -2.1 1.6 20.4 -1.6\n"


def write_kitti(
    root: Path, labels: Mapping[str, Sequence[str]], size: tuple[int, int] = (100, 60)
) -> None:
    """`image_2` and `label_2`: label lines by image name."""
    (root / "label_2").mkdir(parents=True, exist_ok=True)
    for name, lines in labels.items():
        (root / f"label_2/{name}.txt").write_text("".join(lines))
        write_picture(root / f"image_2/{name}.png", size)


def coco_document(images: Mapping[str, Sequence[Box]], names: Sequence[str]) -> dict:
    """Instances; a class that begins with "?" is a crowd. Category ids are 10, 20, ..."""
    document: dict = {
        "info": {"year": 2017},
        "images": [],
        "annotations": [],
        "categories": [{"id": 10 * i, "name": name} for i, name in enumerate(names, 1)],
    }
    for number, (file, objects) in enumerate(images.items(), 1):
        document["images"].append({"id": number, "file_name": file, "width": 40, "height": 20})
        for name, (left, top, right, bottom) in objects:
            document["annotations"].append(
                {
                    "id": len(document["annotations"]) + 1,
                    "image_id": number,
                    "category_id": 10 * (names.index(name.lstrip("?")) + 1),
                    "bbox": [left, top, right - left, bottom - top],
                    "iscrowd": int(name[0] == "?"),
                    "segmentation": [[1.5, 2.5, 3.5]],
                }
            )
    return document


def write_coco(
    folder: Path, parts: Mapping[str, Mapping[str, Sequence[Box]]], names: Sequence[str]
) -> None:
    """COCO's folders: for every part, file names and their objects."""
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    for part, images in parts.items():
        file = folder / f"annotations/instances_{part}.json"
        file.write_text(json.dumps(coco_document(images, names)))
        for name, objects in images.items():
            write_picture(folder / part / name, box=objects[0][1] if objects else ())
