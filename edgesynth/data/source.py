"""From what a user writes after `--data` to a data set.

The spelling is `KIND[:PLACE][,size=N][@TRAIN]`:

- `fashion-mnist`            Debian's package, the cache, or fetched once; `fashion-mnist:DIR`
- `digits`                   scikit-learn's 8 x 8 digits
- `@12000` at the end        keeps 12,000 train images, every class in proportion and chosen by
                             the seed; validation and test stay whole
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import UserError, nearest
from edgesynth.core.progress import Progress, Silent

_SPELLING = re.compile(
    r"(?P<kind>[^:,@]+)(:(?P<place>.+?))?(,size=(?P<size>\d+))?(@(?P<limit>\d+))?"
)


@dataclass(frozen=True)
class Spec:
    """The parts of `KIND[:PLACE][,size=N][@TRAIN]`."""

    text: str
    kind: str
    place: str | None
    size: int | None
    limit: int | None


def parse_spec(text: str) -> Spec:
    """Take a `--data` value apart; raises UserError when it is not spelt as documented."""
    match = _SPELLING.fullmatch(text)
    if match is None:
        raise UserError(f'"{text}" is not a data set; write KIND[:PLACE][,size=N][@TRAIN_IMAGES]')
    size, limit = match["size"], match["limit"]
    return Spec(
        text,
        match["kind"],
        match["place"],
        int(size) if size else None,
        int(limit) if limit else None,
    )


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
    `validation` is a fraction or a number of images; by default each data set has its own
    (5,000 for Fashion-MNIST). Raises UserError for bad input, MissingError for absent data.
    """
    parsed = parse_spec(spec)
    known = ["fashion-mnist", "digits"]
    if parsed.kind == "fashion-mnist":
        from edgesynth.data import fashion_mnist, mnist

        folder = (
            Path(parsed.place)
            if parsed.place
            else fashion_mnist.find_fashion_mnist(progress=progress or Silent())
        )
        return mnist.load_mnist(
            folder,
            name=spec,
            classes=fashion_mnist.CLASSES,
            seed=seed,
            validation=mnist.VALIDATION if validation is None else validation,
            limit=parsed.limit,
        )
    if parsed.kind == "digits":
        from edgesynth.data import digits

        return digits.load_digits(
            name=spec,
            seed=seed,
            validation=digits.VALIDATION if validation is None else validation,
            limit=parsed.limit,
        )
    raise UserError(f'unknown data set "{parsed.kind}"; {nearest(parsed.kind, known)}')
