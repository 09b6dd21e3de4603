"""The environmental factor: how much of a parent its offspring may keep.

The papers' scalar F (arXiv:1606.04393, eq. 3), or a budget: the share of the parent's synapses,
parameters, MACs, predicted latency or predicted energy that one synthesis keeps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from edgesynth.core.errors import UserError, nearest, shown

FACTOR = "factor"
COUNTED = ("synapses", "params", "macs")
PREDICTED = ("latency", "energy")
_SHARE = re.compile(r"0?\.[0-9]+|1(?:\.0*)?")
_HELP = (
    "write a factor such as 0.7 or a budget such as synapses=0.5, macs=0.6 or latency=0.7@tx2 "
    "(a share above 0 and up to 1), then exceptions such as conv1=0.9"
)


@dataclass(frozen=True)
class Environment:
    """What one synthesis leaves of its parent."""

    kind: str
    """`factor`, or the key of a cost: `synapses`, `params`, `macs`, `latency@tx2`, `energy@tx2`."""
    value: float
    """F, or the share of the parent's cost that the offspring keeps at most; above 0, up to 1."""
    layers: tuple[tuple[str, float], ...] = ()
    """Layers (or modules that hold layers) with a factor or share of their own."""
    competing: bool = False
    """A budget for which layers compete, so that over-parameterised ones give up more."""
    clusters: float | None = None
    """R^c of arXiv:1609.01360, eq. 6: a factor or share of its own for the clusters."""
    synapses: float | None = None
    """Share of synapses that is kept beside a budget on params, MACs, latency or energy."""

    @property
    def text(self) -> str:
        """As the user writes it."""
        key, at, device = self.kind.partition("@")
        main = f"{self.value:g}" if self.kind == FACTOR else f"{key}={self.value:g}{at}{device}"
        parts = [main + ":global" * self.competing]
        named = (("clusters", self.clusters), ("synapses", self.synapses), *self.layers)
        parts.extend(f"{name}={value:g}" for name, value in named if value is not None)
        return ",".join(parts)

    @property
    def physical(self) -> bool:
        """True for a budget that only clusters can meet, since it counts what is left dense."""
        return self.kind not in (FACTOR, "synapses")

    def own(self, layer: str, layers: list[str]) -> float | None:
        """The value written for `layer` itself or for the innermost module that holds it.

        Raises UserError when a name that is written is no layer of `layers`.
        """
        found: tuple[int, float | None] = (-1, None)
        for name, value in self.layers:
            if not any(_holds(name, each) for each in layers):
                raise UserError(
                    f'environment "{self.text}": no layer "{name}"; {nearest(name, layers)}'
                )
            if _holds(name, layer):
                found = max(found, (len(name), value), key=lambda pair: pair[0])
        return found[1]

    def relaxed(self, share: float) -> Environment:
        """The environment `share` of the way from one that takes nothing, share in [0, 1]: fast at
        first, when there is much that nothing depends on (Zhu and Gupta, arXiv:1710.01878, eq. 1).
        """

        def gentler(value: float) -> float:
            return value + (1 - value) * (1 - share) ** 3

        return replace(
            self,
            value=gentler(self.value),
            layers=tuple((name, gentler(value)) for name, value in self.layers),
            clusters=None if self.clusters is None else gentler(self.clusters),
            synapses=None if self.synapses is None else gentler(self.synapses),
        )


def _holds(name: str, layer: str) -> bool:
    return layer == name or layer.startswith(f"{name}.")


def parse_environment(text: str) -> Environment:
    """Read what a synthesis may keep: a factor or a budget, then exceptions behind commas.

    `0.7` is the papers' factor F. `synapses=0.5`, `params=0.5`, `macs=0.6`, `latency=0.7@tx2` and
    `energy=0.7@tx2` are budgets; `:global` behind one lets layers compete. Exceptions:
    `conv1=0.9` for one layer, `clusters=0.8` for clusters, `synapses=0.4` beside another budget.

    Raises UserError when a part is none of these.
    """
    main, *rest = (part.strip() for part in text.split(","))
    main, colon, word = main.partition(":")
    if colon and word != "global":
        raise UserError(f'environment "{shown(text)}": "{shown(word)}" is not "global"')
    kind, value = _main(main, text)
    if colon and kind == FACTOR:
        raise UserError(
            f'environment "{shown(text)}": layers compete for a budget, not for a factor; '
            "write for example synapses=0.5:global"
        )
    named: dict[str, float] = {}
    for part in rest:
        name, equals, share = part.rpartition("=")
        if not equals or not name or name in named:
            raise UserError(
                f'environment "{shown(text)}": "{shown(part)}" is not NAME=SHARE or is there twice'
            )
        named[name] = _share(share, text)
    clusters, synapses = named.pop("clusters", None), named.pop("synapses", None)
    read = Environment(kind, value, tuple(named.items()), bool(colon), clusters, synapses)
    _refuse_contradiction(read)
    return read


def _main(part: str, text: str) -> tuple[str, float]:
    key, equals, value = part.partition("=")
    if not equals:
        return FACTOR, _share(part, text)
    value, at, device = value.partition("@")
    known = [*COUNTED, *PREDICTED]
    if key not in known:
        raise UserError(
            f'environment "{shown(text)}": no budget "{shown(key)}"; {nearest(key, known)}'
        )
    if (key in PREDICTED) != bool(device):
        remedy = f"name a board, as in {key}=0.7@tx2" if key in PREDICTED else "leave out the board"
        raise UserError(f'environment "{shown(text)}": {remedy}')
    return f"{key}{at}{device}", _share(value, text)


def _share(part: str, text: str) -> float:
    value = float(part) if _SHARE.fullmatch(part) else 0.0
    if value <= 0:
        raise UserError(f'environment "{shown(text)}": "{shown(part)}" is no share; {_HELP}')
    return value


def _refuse_contradiction(read: Environment) -> None:
    if read.synapses is not None and not read.physical:
        raise UserError(
            f'environment "{read.text}" gives synapses twice; put synapses=... behind a budget on '
            "params, macs, latency or energy only"
        )
    if read.clusters is not None and read.physical:
        raise UserError(
            f'environment "{read.text}": clusters follow from the budget; leave out clusters=...'
        )
