"""From evidence to one HTML file that loads nothing, runs no script and needs no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from edgesynth.report.blocks import Section
from edgesynth.report.evidence import Evidence, gather
from edgesynth.report.sections.exits import exits
from edgesynth.report.sections.gaps import gaps
from edgesynth.report.sections.generated import generated
from edgesynth.report.sections.generations import generations
from edgesynth.report.sections.headline import headline
from edgesynth.report.sections.measured import measured
from edgesynth.report.sections.predicted import predicted
from edgesynth.report.sections.provenance import provenance
from edgesynth.report.sections.requirements import requirements
from edgesynth.report.subjects import Cast, cast
from edgesynth_rt import __version__
from edgesynth_rt.files import write_bytes

SCHEMA = "edgesynth.report/1"


def build_report(sources: Sequence[Path], out: Path, *, title: str | None = None) -> dict[str, Any]:
    """Write the page about everything in `sources` to `out`, in one step.

    `sources` are folders of runs and searches, record files, or folders that hold them; see
    `evidence.gather`. The
    same sources give the same page, byte for byte.

    Returns what the page is about: its path, its title, the number of runs and records, and the
    names of the networks compared. Raises UserError naming the file that cannot be read.
    """
    evidence = gather(sources)
    players = cast(evidence) if evidence.runs or evidence.findings else None
    heading = title or _title(evidence, players)
    sections = _sections(evidence, players)
    inks = [subject.ink for subject in players.everyone] if players else []
    data = render(heading, sections, inks, _origin(evidence)).encode("utf-8")
    write_bytes(out, data)
    kinds = [finding.record.kind for finding in evidence.findings]
    return {
        "schema": SCHEMA,
        "report": str(out),
        "title": heading,
        "size_bytes": len(data),
        "runs": len(evidence.runs),
        "searches": len(evidence.searches),
        "measured": kinds.count("measured"),
        "predicted": kinds.count("predicted"),
        "parent": players.parent.name if players and players.parent else None,
        "child": players.child.name if players else None,
        "sections": [section.id for section in sections],
    }


def _title(evidence: Evidence, players: Cast | None) -> str:
    if players is None:
        return f"Networks generated from {evidence.searches[0].search.prototype}"
    if players.parent is None:
        return players.child.name
    return f"{players.child.name} against {players.parent.name}"


def _sections(evidence: Evidence, players: Cast | None) -> list[Section]:
    searches, many = evidence.searches, len(evidence.searches)
    made = [s for n, one in enumerate(searches, start=1) for s in generated(one, n, many)]
    if players is None:
        return made
    count = len(evidence.runs)
    found = [
        headline(players),
        requirements(players),
        *(generations(run, n, count) for n, run in enumerate(evidence.runs, start=1)),
        *made,
        measured(players),
        exits(players),
        predicted(players),
        gaps(players),
        provenance(evidence, players),
    ]
    return [section for section in found if section is not None]


def render(heading: str, sections: Sequence[Section], inks: Sequence[str], origin: str) -> str:
    """The page of `sections`; `inks` are those of bars that may be hatched, `origin` says at the
    end of the page what it was made from."""
    environment = Environment(
        loader=PackageLoader("edgesynth.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = environment.get_template("style.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return environment.get_template("page.html").render(
        heading=heading,
        inks=inks,
        sections=sections,
        # the file's own text, not a stranger's; autoescape would break its quotes
        style=Markup(style),  # noqa: S704
        style_sha256=digest,
        version=__version__,
        origin=origin,
    )


def _origin(evidence: Evidence) -> str:
    runs, records = len(evidence.runs), len(evidence.findings)
    if evidence.searches and not runs and not records:
        count = sum(len(one.candidates) for one in evidence.searches)
        searches = len(evidence.searches)
        words = "generative search" if searches == 1 else "generative searches"
        return f"{searches} {words} with {count} networks tried"
    return (
        f"{runs} {'run' if runs == 1 else 'runs'} and "
        f"{records} {'record' if records == 1 else 'records'}"
    )
