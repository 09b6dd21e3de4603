"""The papers of `edgesynth reproduce`: to add one, write its module and name it here."""

from __future__ import annotations

from edgesynth.core.errors import UserError, nearest
from edgesynth.workflows.reproduce import precision, stressednets
from edgesynth.workflows.reproduce.paper import Paper

PAPERS: dict[str, Paper] = {paper.name: paper for paper in (stressednets.PAPER, precision.PAPER)}


def paper_named(name: str) -> Paper:
    """The paper called `name`.

    Raises UserError with the nearest name.
    """
    if name not in PAPERS:
        apart = ("ferminets", "adaptive", "dyvedeep")  # have no lineages
        known = [*PAPERS, *apart]
        raise UserError(f'no paper "{name}" to reproduce; {nearest(name, known)}')
    return PAPERS[name]
