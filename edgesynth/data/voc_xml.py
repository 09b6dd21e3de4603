"""Annotation files of PASCAL VOC: which objects are where in one picture.

The files may come from anywhere, so no document type is accepted: without one there are no
entities to expand and nothing else to fetch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder  # builds trees only, expat below reads
from xml.parsers import expat

from edgesynth.core.errors import UserError, shown
from edgesynth.data.idx import read_bytes

_MOST_BYTES = 16 << 20
_MOST_PIXELS = 100_000


@dataclass(frozen=True)
class VocObject:
    """One object; corners are left, top, right, bottom edges in pixels."""

    name: str
    corners: tuple[float, float, float, float]
    difficult: bool
    line: int


@dataclass(frozen=True)
class VocAnnotation:
    """One picture's annotation; width and height are None where the file does not say."""

    size: tuple[int, int] | None
    objects: tuple[VocObject, ...]


def read_annotation(file: Path) -> VocAnnotation:
    """The annotation in `file`; UserError names file and line of what is wrong."""
    contents = read_bytes(file)
    if len(contents) > _MOST_BYTES:
        raise UserError(f"{file} has {len(contents)} bytes; an annotation has at most 16 MiB")
    return parse_annotation(contents, str(file))


def parse_annotation(contents: bytes, name: str) -> VocAnnotation:
    """`read_annotation` for contents already in memory; `name` is the file in error messages.

    VOC counts pixels from 1 and names the first and last one inside; what comes back are edges
    counted from 0, so that a box over the first pixel alone is (0, 0, 1, 1).
    """
    tree = _Tree(contents, name)
    if tree.root.tag != "annotation":
        raise UserError(f"{name}: line 1 holds <{shown(tree.root.tag)}>, not <annotation>")
    objects = tuple(_object(tree, each) for each in tree.root.findall("object"))
    return VocAnnotation(_size(tree), objects)


class _Tree:
    """Elements that know their line, read by expat without entities."""

    def __init__(self, contents: bytes, name: str) -> None:
        self.name = name
        self._lines: dict[Element, int] = {}
        builder = TreeBuilder()
        parser = expat.ParserCreate()

        def start(tag: str, attributes: dict[str, str]) -> None:
            element = builder.start(tag, attributes)
            self._lines[element] = parser.CurrentLineNumber

        def refuse(*_: object) -> None:
            raise UserError(
                f"{name}: line {parser.CurrentLineNumber} declares a document type; VOC files "
                "have none, and it could hide entities: remove it"
            )

        parser.StartElementHandler = start
        parser.EndElementHandler = builder.end
        parser.CharacterDataHandler = builder.data
        parser.StartDoctypeDeclHandler = refuse
        try:
            parser.Parse(contents, True)
        except (expat.ExpatError, ValueError, LookupError) as error:  # the last two: odd encodings
            raise UserError(f"{name} is not well-formed XML: {shown(str(error))}") from None
        self.root: Element = builder.close()

    def line(self, element: Element) -> int:
        return self._lines[element]

    def text(self, parent: Element, tag: str) -> str:
        child = parent.find(tag)
        if child is None or not (child.text or "").strip():
            raise self.wrong(parent, f"<{shown(parent.tag)}> has no <{tag}>")
        return (child.text or "").strip()

    def number(self, parent: Element, tag: str) -> float:
        text = self.text(parent, tag)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not abs(value) <= _MOST_PIXELS:
            raise self.wrong(parent, f'<{tag}> is "{shown(text)}", not a number of pixels')
        return value

    def wrong(self, element: Element, what: str) -> UserError:
        return UserError(f"{self.name}: line {self.line(element)}: {what}")


def _object(tree: _Tree, element: Element) -> VocObject:
    name = tree.text(element, "name")
    box = element.find("bndbox")
    if box is None:
        raise tree.wrong(element, f'object "{shown(name)}" has no <bndbox>')
    left, top, right, bottom = (tree.number(box, tag) for tag in ("xmin", "ymin", "xmax", "ymax"))
    if right < left or bottom < top:
        raise tree.wrong(
            box, f"the box ends before it begins ({left:g} {top:g} {right:g} {bottom:g})"
        )
    difficult = (element.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        raise tree.wrong(element, f'<difficult> is "{shown(difficult)}", not 0 or 1')
    corners = (left - 1, top - 1, right, bottom)
    return VocObject(name, corners, difficult == "1", tree.line(element))


def _size(tree: _Tree) -> tuple[int, int] | None:
    size = tree.root.find("size")
    if size is None:
        return None
    width, height = (tree.number(size, tag) for tag in ("width", "height"))
    if width < 1 or height < 1 or width % 1 or height % 1:
        return None  # some tools write 0 x 0 where they did not look
    return int(width), int(height)
