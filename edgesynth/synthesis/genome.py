"""The genome: everything that decides how an offspring is drawn from its parents, but the seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgesynth.core.errors import UserError, nearest, shown
from edgesynth.synthesis.environment import Environment, parse_environment

HALF = Environment("synapses", 0.5)
ENCODINGS = ("synapse", "cluster", "both")


@dataclass(frozen=True)
class Genome:
    """How an offspring is drawn.

    Raises UserError when the parts contradict each other.
    """

    environment: Environment = HALF
    encoding: str = "both"
    """`synapse`: each synapse lives or dies by itself (arXiv:1606.04393), and only neurons that are
    left without any vanish. `cluster`: whole filters and neurons live or die. `both`: first
    clusters, then the synapses of those that live (arXiv:1609.01360)."""
    pressure: float = 1.0
    """Of selection: survival is exp(pressure * (strength / Z - 1)). 1 is the papers' rule, 0 is
    chance alone, and with a budget a large one is magnitude pruning."""
    round_to: int = 1
    """Channels of a layer are kept in multiples of this."""

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            known = nearest(self.encoding, list(ENCODINGS))
            raise UserError(f'no genetic encoding "{shown(self.encoding)}"; {known}')
        if not 0 <= self.pressure <= 1e6:
            raise UserError(f"pressure {self.pressure:g} is not between 0 and 1000000")
        if not 1 <= self.round_to <= 1024:
            raise UserError(f"channels cannot be rounded to {self.round_to}; take 1 to 1024")
        if self.encoding == "synapse" and self.environment.physical:
            raise UserError(
                f'environment "{self.environment.text}": the synapse encoding leaves layers dense; '
                "take the encoding cluster or both, or a budget of synapses"
            )
        clusters, synapses = self.environment.clusters, self.environment.synapses
        budgeted = clusters if self.environment.kind == "synapses" else None
        useless = {"synapse": clusters, "cluster": synapses or budgeted}
        if useless.get(self.encoding) is not None:
            raise UserError(
                f'environment "{self.environment.text}": the {self.encoding} encoding has no use '
                "for its second share; take the encoding both"
            )

    def document(self) -> dict[str, object]:
        """As it stands in `run.json` and in an offspring's record."""
        return {
            "encoding": self.encoding,
            "environment": self.environment.text,
            "pressure": self.pressure,
            "round_to": self.round_to,
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Genome:
        """The genome that `document` wrote.

        Raises UserError when it is not one.
        """
        try:
            return cls(
                environment=parse_environment(str(document["environment"])),
                encoding=str(document["encoding"]),
                pressure=float(document["pressure"]),
                round_to=int(document["round_to"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"a genome's record is damaged: {error!r}") from None
